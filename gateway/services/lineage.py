# SPDX-License-Identifier: Apache-2.0
"""Lineage as the read model knows it: the law's own walk over edges that were read from blocks.

Beside the edges on the ledger stand those of belonging, from a data set or model to its versions.
"""

from collections.abc import Iterable
from itertools import chain

from chaincode.domain import codec
from chaincode.domain.canonical import Json as Plain
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.lineage import DEFAULT_LIMIT, Edge, walk
from chaincode.domain.policy import Stage
from chaincode.domain.provenance import Change
from chaincode.domain.values import ArtifactKind, Ref, Text
from gateway.services.catalogue import Catalogue, entries
from gateway.services.ports import Entry, ReadModel, Where

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
        self._catalogue = Catalogue(readmodel)

    def lineage(self, reference: str, direction: str, limit: int = DEFAULT_LIMIT) -> dict[str, Plain]:
        """Nodes, nearest first, and edges; nodes below a quarantined artifact say so, with the path to it."""
        of = self._known(reference)
        _refuse_other(direction)

        def edges_of(node: Ref) -> Iterable[Edge]:
            # Lazily: a node may have very many, and the walk says how many of them it wants.
            return chain(self._recorded(node, direction), self._belonging(node, direction))

        return codec.to_plain(
            walk(
                of,
                limit=limit,
                edges_of=edges_of,
                quarantined=self._quarantined,
                superseded_by=self._superseded_by,
            )
        )

    def edges(self, reference: str, direction: str, *, cursor: str | None, limit: int) -> dict[str, Plain]:
        """A page of the edges on the ledger that begin (`down`) or end (`up`) at an artifact."""
        of = self._known(reference)
        _refuse_other(direction)
        return self._catalogue.page("edge", cursor=cursor, limit=limit, **{_own_end(direction): str(of)})

    def _known(self, reference: str) -> Ref:
        of = Ref(reference)
        kind, where = identifying(of)
        if self._first(kind, where) is None:
            raise RecordNotFound(of)
        return of

    def _recorded(self, node: Ref, direction: str) -> Iterable[Edge]:
        """The edges that stand on the ledger."""
        for entry in entries(self._readmodel, "edge", {_own_end(direction): node}):
            # Not by the codec: of the edges of a large lineage the one end is known, and reading it again costs most.
            relation = Text(entry.value["relation"])
            if direction == UP:
                yield Edge(Ref(entry.value["parent"]), node, relation)
            else:
                yield Edge(node, Ref(entry.value["child"]), relation)

    def _belonging(self, node: Ref, direction: str) -> Iterable[Edge]:
        """A version belongs to what it is a version of; the ledger says so by the name, not by an edge."""
        if direction == UP and node.kind in _WHOLE:
            yield Edge(Ref.of(_WHOLE[node.kind], node.name), node, _VERSION)
        elif direction == DOWN and node.kind in _VERSIONS:
            kind = _VERSIONS[node.kind]
            for entry in entries(self._readmodel, kind.value, {node.kind.value: str(node.name)}):
                yield Edge(node, Ref.of(kind, node.name, entry.value["number"]), _VERSION)

    def _quarantined(self, node: Ref) -> bool:
        standing = self._first("artifact-stage", {"artifact": node})
        return standing is not None and standing.value["stage"] == Stage.QUARANTINED

    def _superseded_by(self, node: Ref) -> Ref | None:
        if node.kind is not ArtifactKind.DATASET_VERSION or node.number is None:
            return None
        where = {"dataset": str(node.name), "number": str(node.number + 1)}
        after = self._first("dataset-version", where)
        replaced = after is not None and after.value["change"] == Change.REPLACES
        return Ref.of(node.kind, node.name, node.number + 1) if replaced else None

    def _first(self, kind: str, where: Where) -> Entry | None:
        return next(entries(self._readmodel, kind, where, size=1), None)


def _own_end(direction: str) -> str:
    return "child" if direction == UP else "parent"


def _refuse_other(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise InvalidField("/direction", "it must be 'up' or 'down'")
