# SPDX-License-Identifier: Apache-2.0
"""Models: what the rules of `domain.model` need."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.lineage import parents_of
from chaincode.contracts.provenance import claims
from chaincode.contracts.state import Ledger, Load
from chaincode.domain.model import (
    DeclareParent,
    LaterParents,
    Model,
    ModelVersion,
    RecordModelVersion,
    RegisterModel,
)
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.training import TrainingRun
from chaincode.domain.values import ArtifactKind, Command

_DATA: Final = frozenset({ArtifactKind.DATASET_VERSION, "selection"})


def for_model(ledger: Ledger, command: RegisterModel) -> Mapping[str, object]:
    """What registering a model needs."""
    return {
        "existing": ledger.get(Model, command.model),
        "claims": claims(ledger, () if command.card is None else (command.card,)),
    }


def for_version(ledger: Ledger, command: RecordModelVersion) -> Mapping[str, object]:
    """What recording a version of a model needs: also what went into the run that made it."""
    run = None if command.run is None else ledger.get(TrainingRun, command.run)
    began_from = () if run is None else run.parents
    return {
        "model": ledger.get(Model, command.model),
        "previous": ledger.get(ModelVersion, command.model, command.number - 1) if command.number > 1 else None,
        "existing": ledger.get(ModelVersion, command.model, command.number),
        "run": run,
        "data": ledger.cited(DatasetVersion, () if run is None else (used.version for used in run.inputs)),
        "parents": ledger.cited(ModelVersion, (*(parent.version for parent in command.parents), *began_from)),
        "claims": claims(ledger, (command.digest,)),
    }


def for_later_parent(ledger: Ledger, command: DeclareParent) -> Mapping[str, object]:
    """What adding a parent to a model version needs: also what anything was made from, to find a circle."""
    found = ledger.cited(ModelVersion, (command.child, command.parent))
    return {
        "child": found.get(command.child),
        "parent": found.get(command.parent),
        "later": ledger.get(LaterParents, command.child),
        # Data set versions and selections are made from one another alone, so that no circle leads through one; and
        # there may be thousands of versions above a model, each extending the one before.
        "parents_of": lambda reference: [
            edge.parent for edge in parents_of(ledger, reference) if edge.parent.kind not in _DATA
        ],
    }


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {RegisterModel: for_model, RecordModelVersion: for_version, DeclareParent: for_later_parent}
)
