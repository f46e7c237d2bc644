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
from chaincode.domain.register import KIND, RECORDS, locate, successor
from chaincode.domain.values import Ref, Text
from gateway.services.catalogue import Catalogue, entries
from gateway.services.ports import Entry, ReadModel, Where
from gateway.services.references import identifying

UP, DOWN = "up", "down"
_VERSION = Text("version")
DIRECTIONS = (UP, DOWN)
_VERSIONS = {kind.belongs_to: kind for kind in RECORDS if kind.belongs_to}


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
        return self._catalogue.page("edge", {_own_end(direction): str(of)}, cursor=cursor, limit=limit)

    def _known(self, reference: str) -> Ref:
        of = Ref(reference)
        kind, where = identifying(of)
        if self._first(kind, where) is None:
            raise RecordNotFound(of)
        return of

    def _recorded(self, node: Ref, direction: str) -> Iterable[Edge]:
        """The edges that the ledger has."""
        for entry in entries(self._readmodel, "edge", {_own_end(direction): node}):
            # Not by the codec: of the edges of a large lineage the one end is known, and reading it again costs most.
            relation = Text(entry.value["relation"])
            if direction == UP:
                yield Edge(Ref(entry.value["parent"]), node, relation)
            else:
                yield Edge(node, Ref(entry.value["child"]), relation)

    def _belonging(self, node: Ref, direction: str) -> Iterable[Edge]:
        """A version belongs to what it is a version of; the ledger says so by the name, not by an edge."""
        kind, _ = locate(node)
        version = _VERSIONS.get(kind.name)
        if direction == UP and kind.belongs_to:
            yield Edge(Ref.of(KIND[kind.belongs_to].reference, *node.parts[:-1]), node, _VERSION)
        elif direction == DOWN and version is not None:
            where = identifying(node)[1]
            for entry in entries(self._readmodel, version.name, where):
                yield Edge(node, Ref.of(version.reference, *node.parts, entry.value["number"]), _VERSION)

    def _quarantined(self, node: Ref) -> bool:
        standing = self._first("artifact-stage", {"artifact": node})
        return standing is not None and standing.value["stage"] == Stage.QUARANTINED

    def _superseded_by(self, node: Ref) -> Ref | None:
        kind, _ = locate(node)
        after = successor(node)
        found = None if after is None else self._first(*identifying(after))
        return after if found is not None and kind.replaced_by(found.value.get) else None

    def _first(self, kind: str, where: Where) -> Entry | None:
        return next(entries(self._readmodel, kind, where, size=1), None)


def _own_end(direction: str) -> str:
    return "child" if direction == UP else "parent"


def _refuse_other(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise InvalidField("/direction", "it must be 'up' or 'down'")
