# SPDX-License-Identifier: Apache-2.0
"""Lineage as the read model knows it: the law's own walk over edges that were read from blocks.

Beside the edges on the ledger stand those of belonging, from a data set or model to its versions.

**As of a height**: a height counts blocks, so that as of 7 is what blocks 0 to 6 say. Edges and versions are written
once and are there from their block on; of an artifact's stages the last one that was written by then counts, and with
it the quarantines and the paths to them; a version was superseded once its successor was there.
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
from gateway.services.cursors import closed, opened
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Entry, ReadModel, Where
from gateway.services.references import identifying
from gateway.services.walks import LineageGraph, Walked

UP, DOWN = "up", "down"
_VERSION = Text("version")
_LIST = "lineage"
"""What cursors call the list of all that a walk comes to."""
DIRECTIONS = (UP, DOWN)
_VERSIONS = {kind.belongs_to: kind for kind in RECORDS if kind.belongs_to}


class LineageReader:
    """Walks up to what an artifact was made from, or down to what was made from it."""

    def __init__(self, readmodel: ReadModel, graph: LineageGraph) -> None:
        self._readmodel = readmodel
        self._graph = graph
        self._catalogue = Catalogue(readmodel)

    def lineage(
        self, reference: str, direction: str, limit: int = DEFAULT_LIMIT, *, as_of: int | None = None
    ) -> dict[str, Plain]:
        """Nodes, nearest first, and edges; nodes below a quarantined artifact say so, with the path to it.

        Raises `InvalidParameter` for a height that is not reached yet, and `RecordNotFound` for what was not there.
        """
        at = self._height(as_of)
        of = self._known(reference, at)
        _refuse_other(direction)

        def edges_of(node: Ref) -> Iterable[Edge]:
            # Lazily: a node may have very many, and the walk says how many of them it wants.
            return chain(self._recorded(node, direction, at), self._belonging(node, direction, at))

        return codec.to_plain(
            walk(
                of,
                limit=limit,
                edges_of=edges_of,
                quarantined=lambda node: self._stage(node, at) == Stage.QUARANTINED,
                superseded_by=lambda node: self._superseded_by(node, at),
            )
        )

    def reached(
        self, reference: str, direction: str, *, as_of: int | None, depth: int | None, cursor: str | None, limit: int
    ) -> dict[str, Plain]:
        """A page of all that was made from an artifact, or that it was made from, nearest first and to any depth.

        `count` and `kinds` are of the whole list, and `left` is how many follow this page. The cursor holds the height,
        so that the pages of one list are all as of the same one. Raises as `lineage` does.
        """
        _refuse_other(direction)
        asked = {"of": reference, "direction": direction, "depth": str(depth or "")}
        at, start = self._place(cursor, asked, as_of)
        of = self._known(reference, at)
        found = self._graph.walk(of, down=direction == DOWN, as_of=at, depth=depth, start=start, limit=limit)
        end = start + len(found.items)
        left = max(0, found.count - end)
        return {
            "of": of,
            "direction": direction,
            "as_of": at,
            "items": [self._shown(each, at) for each in found.items],
            "next": closed(f"{at}.{end}", _LIST, asked) if left else None,
            "count": found.count,
            "count_exact": True,
            "left": left,
            "depth": found.depth,
            "kinds": [{"kind": kind, "count": count} for kind, count in sorted(found.kinds.items())],
        }

    def _place(self, cursor: str | None, asked: dict[str, str], as_of: int | None) -> tuple[int, int]:
        """The height that a list is as of, and where in it a page begins."""
        place = opened(cursor, _LIST, asked)
        if place is None:
            return self._height(as_of), 0
        at, _, start = place.partition(".")
        if as_of not in (None, int(at)):
            raise InvalidParameter("as_of", f"the cursor is of a list as of {at}: leave it out, or say the same")
        return self._height(int(at)), int(start)

    def _height(self, as_of: int | None) -> int:
        height = self._readmodel.height()
        if as_of is not None and as_of > height:
            raise InvalidParameter("as_of", f"it must be at most {height}, the height of the ledger as it is read here")
        return height if as_of is None else as_of

    def _shown(self, each: Walked, at: int) -> dict[str, Plain]:
        after = self._superseded_by(Ref(each.reference), at)
        return {
            "reference": each.reference,
            "distance": each.distance,
            "stage": each.stage,
            "review_path": list(each.review_path),
            "superseded_by": None if after is None else str(after),
        }

    def edges(self, reference: str, direction: str, *, cursor: str | None, limit: int) -> dict[str, Plain]:
        """A page of the edges on the ledger that begin (`down`) or end (`up`) at an artifact."""
        of = self._known(reference, self._readmodel.height())
        _refuse_other(direction)
        return self._catalogue.page("edge", {_own_end(direction): str(of)}, cursor=cursor, limit=limit)

    def _known(self, reference: str, at: int) -> Ref:
        of = Ref(reference)
        if not self._there(of, at):
            raise RecordNotFound(of)
        return of

    def _there(self, reference: Ref, at: int) -> bool:
        """Whether the record that a reference cites was there at a height: such records are written once."""
        entry = self._first(*identifying(reference))
        return entry is not None and entry.block < at

    def _recorded(self, node: Ref, direction: str, at: int) -> Iterable[Edge]:
        """The edges that the ledger has."""
        for entry in entries(self._readmodel, "edge", {_own_end(direction): node}):
            if entry.block >= at:
                return  # they come in the order of the ledger
            # Not by the codec: of the edges of a large lineage the one end is known, and reading it again costs most.
            relation = Text(entry.value["relation"])
            if direction == UP:
                yield Edge(Ref(entry.value["parent"]), node, relation)
            else:
                yield Edge(node, Ref(entry.value["child"]), relation)

    def _belonging(self, node: Ref, direction: str, at: int) -> Iterable[Edge]:
        """A version belongs to what it is a version of; the ledger says so by the name, not by an edge."""
        kind, _ = locate(node)
        version = _VERSIONS.get(kind.name)
        if direction == UP and kind.belongs_to:
            yield Edge(Ref.of(KIND[kind.belongs_to].reference, *node.parts[:-1]), node, _VERSION)
        elif direction == DOWN and version is not None:
            where = identifying(node)[1]
            for entry in entries(self._readmodel, version.name, where):
                if entry.block >= at:
                    return
                yield Edge(node, Ref.of(version.reference, *node.parts, entry.value["number"]), _VERSION)

    def _stage(self, node: Ref, at: int) -> str | None:
        """The stage of an artifact as of a height; `None` for what was not submitted by then."""
        now = self._first("artifact-stage", {"artifact": node})
        if now is None or now.block < at:
            return None if now is None else str(now.value["stage"])
        before = [entry for entry in self._readmodel.history(now.key) if entry.block < at]
        return str(before[-1].value["stage"]) if before else None

    def _superseded_by(self, node: Ref, at: int) -> Ref | None:
        kind, _ = locate(node)
        after = successor(node)
        found = None if after is None else self._first(*identifying(after))
        return after if found is not None and found.block < at and kind.replaced_by(found.value.get) else None

    def _first(self, kind: str, where: Where) -> Entry | None:
        return next(entries(self._readmodel, kind, where, size=1), None)


def _own_end(direction: str) -> str:
    return "child" if direction == UP else "parent"


def _refuse_other(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise InvalidField("/direction", "it must be 'up' or 'down'")
