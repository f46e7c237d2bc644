# SPDX-License-Identifier: Apache-2.0
"""Lineage: the edges of one artifact as the ledger holds them; `domain.lineage` walks them.

Upwards every edge stands in the child's own record and is read by key. Downwards a range of edge entries is read,
which is why impact can be asked and never submitted.
"""

from chaincode.contracts.state import Ledger
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.lineage import MOST_ASKED, Ancestry, Edge, Impact, Lineage, walk
from chaincode.domain.model import LaterParents, ModelVersion, parents_of_model_version
from chaincode.domain.policy import ENDORSABLE, Stage
from chaincode.domain.provenance import DatasetVersion, parents_of_dataset_version, replacement
from chaincode.domain.training import Evaluation, TrainingRun, parents_of_evaluation, parents_of_run
from chaincode.domain.values import ArtifactKind, Ref


def ancestry(ledger: Ledger, query: Ancestry) -> Lineage:
    """What an artifact was made from."""
    _refuse_absent(ledger, query.of)
    return walk(
        query.of,
        limit=query.limit,
        edges_of=lambda reference: parents_of(ledger, reference),
        quarantined=lambda reference: _quarantined(ledger, reference),
        superseded_by=lambda reference: _superseded_by(ledger, reference),
        most=MOST_ASKED,
    )


def impact(ledger: Ledger, query: Impact) -> Lineage:
    """What was made from an artifact."""
    _refuse_absent(ledger, query.of)
    return walk(
        query.of,
        limit=query.limit,
        edges_of=lambda reference: ledger.beginning(Edge, reference),
        quarantined=lambda reference: _quarantined(ledger, reference),
        superseded_by=lambda reference: _superseded_by(ledger, reference),
        most=MOST_ASKED,
    )


def parents_of(ledger: Ledger, reference: Ref) -> tuple[Edge, ...]:
    """The edges to what `reference` was made from; none where it is not on the ledger."""
    return _edges(ledger, reference) or ()


def _refuse_absent(ledger: Ledger, reference: Ref) -> None:
    if _edges(ledger, reference) is None:
        raise RecordNotFound(reference)


def _edges(ledger: Ledger, reference: Ref) -> tuple[Edge, ...] | None:
    """The edges upwards; None for what is not on the ledger, and for kinds that have no lineage of their own."""
    name, number = reference.name, reference.number
    match reference.kind:
        case ArtifactKind.DATASET_VERSION:
            data = ledger.get(DatasetVersion, name, number or 0)
            return None if data is None else parents_of_dataset_version(data)
        case ArtifactKind.MODEL_VERSION:
            version, later = ledger.get(ModelVersion, name, number or 0), ledger.get(LaterParents, reference)
            return None if version is None else parents_of_model_version(version, later)
        case ArtifactKind.RUN:
            run = ledger.get(TrainingRun, name)
            return None if run is None else parents_of_run(run)
        case ArtifactKind.EVALUATION:
            evaluation = ledger.get(Evaluation, name)
            return None if evaluation is None else parents_of_evaluation(evaluation)
    return None


def _quarantined(ledger: Ledger, reference: Ref) -> bool:
    standing = ledger.get(ArtifactStage, reference) if reference.kind in ENDORSABLE else None
    return standing is not None and standing.stage is Stage.QUARANTINED


def _superseded_by(ledger: Ledger, reference: Ref) -> Ref | None:
    if reference.kind is not ArtifactKind.DATASET_VERSION or reference.number is None:
        return None
    return replacement(ledger.get(DatasetVersion, reference.name, reference.number + 1))
