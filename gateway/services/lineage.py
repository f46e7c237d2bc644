# SPDX-License-Identifier: Apache-2.0
"""Lineage as the read model knows it: the law's own walk over edges that were read from blocks."""

from collections.abc import Iterable

from chaincode.domain import codec
from chaincode.domain.canonical import Json as Plain
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.lineage import DEFAULT_LIMIT, Edge, walk
from chaincode.domain.values import ArtifactKind, Ref
from gateway.services.ports import ReadModel

UP, DOWN = "up", "down"
DIRECTIONS = (UP, DOWN)
# Where an artifact's record stands: its kind in the read model and the field that holds its name.
RECORDS = {
    ArtifactKind.DATASET: ("dataset", "dataset"),
    ArtifactKind.DATASET_VERSION: ("dataset-version", "dataset"),
    ArtifactKind.MODEL: ("model", "model"),
    ArtifactKind.MODEL_VERSION: ("model-version", "model"),
    ArtifactKind.RUN: ("training-run", "run"),
    ArtifactKind.EVALUATION: ("evaluation", "evaluation"),
}


def identifying(reference: Ref) -> tuple[str, dict[str, str]]:
    """The kind of record that a reference points at, and the fields that identify it."""
    kind, field = RECORDS[reference.kind]
    where = {field: str(reference.name)}
    if reference.number is not None:
        where["number"] = str(reference.number)
    return kind, where


class LineageReader:
    """Walks up to what an artifact was made from, or down to what was made from it."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._readmodel = readmodel

    def lineage(self, reference: str, direction: str, limit: int = DEFAULT_LIMIT) -> dict[str, Plain]:
        """Nodes, nearest first, and edges; nodes below a quarantined artifact say so, with the path to it."""
        of = Ref(reference)
        if direction not in DIRECTIONS:
            raise InvalidField("/direction", "it must be 'up' or 'down'")
        kind, where = identifying(of)
        if not self._readmodel.list(kind, where=where, after=None, limit=1).items:
            raise RecordNotFound(of)
        own_end = "child" if direction == UP else "parent"

        def edges_of(node: Ref) -> Iterable[Edge]:
            for entry in self._readmodel.all("edge", where={own_end: node}):
                yield codec.from_plain(entry.value)  # type: ignore[misc]  # the kind "edge" is read as an Edge

        return codec.to_plain(walk(of, limit=limit, edges_of=edges_of, quarantined=self._quarantined))

    def _quarantined(self, node: Ref) -> bool:
        stages = self._readmodel.list("artifact-stage", where={"artifact": node}, after=None, limit=1).items
        return bool(stages) and stages[0].value["stage"] == "quarantined"
