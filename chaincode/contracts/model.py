# SPDX-License-Identifier: Apache-2.0
"""Models: what the rules of `domain.model` need, and questions about single records."""

from collections.abc import Iterable

from chaincode.contracts.lineage import parents_of
from chaincode.contracts.provenance import claims, dataset_versions
from chaincode.contracts.state import Ledger
from chaincode.domain import model
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.model import (
    DeclareParent,
    GetModel,
    GetModelVersion,
    LaterParents,
    Model,
    ModelVersion,
    RecordModelVersion,
    RegisterModel,
)
from chaincode.domain.training import TrainingRun
from chaincode.domain.values import ArtifactKind, Outcome, Ref, model_ref, model_version_ref


def register(ledger: Ledger, command: RegisterModel) -> Outcome:
    """Register a model."""
    return model.register_model(
        command,
        by=ledger.by,
        at=ledger.at,
        existing=ledger.get(Model, command.model),
        claims=claims(ledger, () if command.card is None else (command.card,)),
    )


def record_version(ledger: Ledger, command: RecordModelVersion) -> Outcome:
    """Record a version of a model."""
    run = None if command.run is None else ledger.get(TrainingRun, command.run)
    began_from = () if run is None else run.parents
    return model.record_model_version(
        command,
        by=ledger.by,
        at=ledger.at,
        model=ledger.get(Model, command.model),
        previous=ledger.get(ModelVersion, command.model, command.number - 1) if command.number > 1 else None,
        existing=ledger.get(ModelVersion, command.model, command.number),
        run=run,
        data=dataset_versions(ledger, () if run is None else (used.version for used in run.inputs)),
        parents=model_versions(ledger, (*(parent.version for parent in command.parents), *began_from)),
        claims=claims(ledger, (command.digest,)),
    )


def declare_parent(ledger: Ledger, command: DeclareParent) -> Outcome:
    """Add a parent to a model version."""
    found = model_versions(ledger, (command.child, command.parent))
    return model.declare_parent(
        command,
        by=ledger.by,
        at=ledger.at,
        child=found.get(command.child),
        parent=found.get(command.parent),
        later=ledger.get(LaterParents, command.child),
        # A data set version is made from others of its kind alone, so that no circle leads through one; and there may
        # be thousands of them above a model, each extending the one before.
        parents_of=lambda reference: [
            edge.parent
            for edge in parents_of(ledger, reference)
            if edge.parent.kind is not ArtifactKind.DATASET_VERSION
        ],
    )


def get(ledger: Ledger, query: GetModel) -> Model:
    """A model."""
    found = ledger.get(Model, query.model)
    if found is None:
        raise RecordNotFound(model_ref(query.model))
    return found


def get_version(ledger: Ledger, query: GetModelVersion) -> ModelVersion:
    """A version of a model."""
    found = ledger.get(ModelVersion, query.model, query.number)
    if found is None:
        raise RecordNotFound(model_version_ref(query.model, query.number))
    return found


def model_versions(ledger: Ledger, references: Iterable[Ref]) -> dict[Ref, ModelVersion]:
    """Those of the references that are versions of models and exist."""
    wanted = [
        (reference.name, reference.number)
        for reference in dict.fromkeys(references)
        if reference.kind is ArtifactKind.MODEL_VERSION and reference.number is not None
    ]
    found = ledger.get_each(ModelVersion, wanted)
    return {model_version_ref(version.model, version.number): version for version in found if version is not None}
