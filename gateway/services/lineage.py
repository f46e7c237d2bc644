# SPDX-License-Identifier: Apache-2.0
"""Lineage as the read model knows it: the law's own walk over edges that were read from blocks.

Beside the edges on the ledger stand those of belonging, from a data set or model to its versions.
"""

from collections.abc import Iterable

from chaincode.domain import codec
from chaincode.domain.canonical import Json as Plain
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.lineage import DEFAULT_LIMIT, Edge, walk
from chaincode.domain.provenance import Change
from chaincode.domain.values import ArtifactKind, Ref, Text
from gateway.services.ports import ReadModel

UP, DOWN = "up", "down"
_VERSION = Text("version")
_WHOLE = {
    ArtifactKind.DATASET_VERSION: ArtifactKind.DATASET,
    ArtifactKind.MODEL_VERSION: ArtifactKind.MODEL,
}
_VERSIONS = {whole: version for version, whole in _WHOLE.items()}
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

        def edges_of(node: Ref) -> Iterable[Edge]:
            return [*self._recorded(node, direction), *self._belonging(node, direction)]

        return codec.to_plain(
            walk(
                of,
                limit=limit,
                edges_of=edges_of,
                quarantined=self._quarantined,
                superseded_by=self._superseded_by,
            )
        )

    def _recorded(self, node: Ref, direction: str) -> Iterable[Edge]:
        """The edges that stand on the ledger."""
        own_end = "child" if direction == UP else "parent"
        for entry in self._readmodel.all("edge", where={own_end: node}):
            edge = codec.from_plain(entry.value)
            if not isinstance(edge, Edge):
                raise TypeError(f"the read model holds a {type(edge).__name__} among the edges")
            yield edge

    def _belonging(self, node: Ref, direction: str) -> Iterable[Edge]:
        """A version belongs to what it is a version of; the ledger says so by the name, not by an edge."""
        if direction == UP and node.kind in _WHOLE:
            yield Edge(Ref.of(_WHOLE[node.kind], node.name), node, _VERSION)
        elif direction == DOWN and node.kind in _VERSIONS:
            kind = _VERSIONS[node.kind]
            for entry in self._readmodel.all(kind.value, where={node.kind.value: str(node.name)}):
                yield Edge(node, Ref.of(kind, node.name, entry.value["number"]), _VERSION)

    def _quarantined(self, node: Ref) -> bool:
        stages = self._readmodel.list("artifact-stage", where={"artifact": node}, after=None, limit=1).items
        return bool(stages) and stages[0].value["stage"] == "quarantined"

    def _superseded_by(self, node: Ref) -> Ref | None:
        if node.kind is not ArtifactKind.DATASET_VERSION or node.number is None:
            return None
        where = {"dataset": str(node.name), "number": str(node.number + 1)}
        after = self._readmodel.list("dataset-version", where=where, after=None, limit=1).items
        replaced = bool(after) and after[0].value["change"] == Change.REPLACES
        return Ref.of(node.kind, node.name, node.number + 1) if replaced else None
