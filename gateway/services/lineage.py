# SPDX-License-Identifier: Apache-2.0
"""Lineage as the read model knows it: the law's own walk over edges that were read from blocks.

Beside the edges on the ledger stand those of belonging, from a data set or model to its versions.

**As of a height**: a height counts blocks, so that as of 7 is what blocks 0 to 6 say. Edges and versions are written
once and are there from their block on; of an artifact's stages the last one that was written by then counts, and with
it the quarantines and the paths to them; a version was superseded once its successor was there. A quarantine that
lapses by itself is over as of a height where the last block below it is not earlier than that; where no height is asked
for, it is over by this gateway's clock.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType

from chaincode.domain import codec
from chaincode.domain.canonical import Json as Plain
from chaincode.domain.deployment import Deployment
from chaincode.domain.errors import InvalidField
from chaincode.domain.lineage import DEFAULT_LIMIT, Edge, walk
from chaincode.domain.policy import Stage
from chaincode.domain.register import KIND, RECORDS, locate, successor
from chaincode.domain.selection import Selection
from chaincode.domain.values import Ref, Text
from gateway.services.approvals import MUST_STOP, Approvals
from gateway.services.attributes import ENDS, ends
from gateway.services.catalogue import Catalogue, entries
from gateway.services.conditions import Conditions, OneOf
from gateway.services.cursors import closed, opened
from gateway.services.filters import InvalidParameter, kind_cited
from gateway.services.heights import DOWN as DOWN
from gateway.services.heights import UP as UP
from gateway.services.heights import Heights, own_end
from gateway.services.ports import Clock, ReadModel
from gateway.services.references import identifying
from gateway.services.walks import LineageGraph, Standing, Walked

_VERSION = Text("version")
_LIST = "lineage"
"""What cursors call the list of all that a walk comes to."""
_PLACE = re.compile(r"([0-9]{1,10})\.([0-9]{1,15})\.([0-9]{1,10})")
DIRECTIONS = (UP, DOWN)
_NONE: Mapping[str, str] = MappingProxyType({})
_VERSIONS = {kind.belongs_to: kind for kind in RECORDS if kind.belongs_to}


class LineageReader:
    """Walks up to what an artifact was made from, or down to what was made from it."""

    def __init__(self, readmodel: ReadModel, graph: LineageGraph, clock: Clock) -> None:
        self._readmodel = readmodel
        self._graph = graph
        self._clock = clock
        self._catalogue = Catalogue(readmodel)
        self._heights = Heights(readmodel)
        self._approvals = Approvals(readmodel)

    def lineage(
        self, reference: str, direction: str, limit: int = DEFAULT_LIMIT, *, as_of: int | None = None
    ) -> dict[str, Plain]:
        """Nodes, nearest first, and edges; nodes below a stopped artifact say so, with the path to it.

        Raises `InvalidParameter` for a height that is not reached yet, and `RecordNotFound` for what was not there.
        """
        at, instant = self._moment(as_of)
        of = self._heights.known(reference, at)
        _refuse_other(direction)

        def edges_of(node: Ref) -> Iterable[Edge]:
            # Lazily: a node may have very many, and the walk says how many of them it wants.
            return chain(self._heights.edges(node, direction, at), self._belonging(node, direction, at))

        return codec.to_plain(
            walk(
                of,
                limit=limit,
                edges_of=edges_of,
                quarantined=lambda node: self._stage(node, at, instant) == Stage.QUARANTINED,
                withdrawn=lambda node: self._withdrawn(node, at),
                superseded_by=lambda node: self._superseded_by(node, at),
                lost=lambda node: self._approvals.lost(node, at, instant),
            )
        )

    def reached(
        self, reference: str, direction: str, *, as_of: int | None, depth: int | None, cursor: str | None, limit: int
    ) -> dict[str, Plain]:
        """A page of all that was made from an artifact, or that it was made from, nearest first and to any depth.

        `count` and `kinds` are of the whole list, and `left` is how many follow this page. The cursor holds the height
        and the time, so that the pages of one list are all as of the same ones. Raises as `lineage` does.
        """
        _refuse_other(direction)
        asked = {"of": reference, "direction": direction, "depth": str(depth or "")}
        at, instant, start = self._place(cursor, asked, as_of)
        of = self._heights.known(reference, at)
        found = self._graph.walk(
            of, down=direction == DOWN, as_of=at, instant=instant, depth=depth, start=start, limit=limit
        )
        end = start + len(found.items)
        left = max(0, found.count - end)
        return {
            "of": of,
            "direction": direction,
            "as_of": at,
            "time": instant,
            "items": [self._shown(each, at, instant) for each in found.items],
            "next": closed(f"{at}.{instant}.{end}", _LIST, asked) if left else None,
            "count": found.count,
            "count_exact": True,
            "left": left,
            "depth": found.depth,
            "kinds": [{"kind": kind, "count": count} for kind, count in sorted(found.kinds.items())],
        }

    def _place(self, cursor: str | None, asked: dict[str, str], as_of: int | None) -> tuple[int, int, int]:
        """The height and the time that a list is as of, and where in it a page begins."""
        place = opened(cursor, _LIST, asked)
        if place is None:
            return *self._moment(as_of), 0
        if (found := _PLACE.fullmatch(place)) is None:
            raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list")
        at, instant, start = map(int, found.groups())
        if as_of not in (None, at):
            raise InvalidParameter("as_of", f"the cursor is of a list as of {at}: leave it out, or say the same")
        return self._heights.reached(at), instant, start

    def _moment(self, as_of: int | None) -> tuple[int, int]:
        """The height that an answer is as of, and the time, in milliseconds since 1970."""
        at = self._heights.reached(as_of)
        return at, int(self._clock() * 1000) if as_of is None else self._readmodel.time_below(at)

    def _shown(self, each: Walked, at: int, instant: int) -> dict[str, Plain]:
        node = Ref(each.reference)
        after = self._superseded_by(node, at)
        due = locate(node)[0].record is Deployment and self._approvals.must_stop(node, at, instant)
        return {
            "reference": each.reference,
            "distance": each.distance,
            "stage": each.stage,
            "stopped": each.stopped,
            "review_path": list(each.review_path),
            "review_cause": each.review_cause,
            "superseded_by": None if after is None else str(after),
            "quorum_lost": self._approvals.lost(node, at, instant),
            "duty": MUST_STOP if due else None,
        }

    def edges(
        self, reference: str, direction: str, *, cursor: str | None, limit: int, filters: Mapping[str, str] = _NONE
    ) -> dict[str, Plain]:
        """A page of the edges on the ledger that begin (`down`) or end (`up`) at an artifact.

        Of the filters `kind` is that of the other end; the others are as in every list.
        """
        of = self._heights.known(reference, self._readmodel.height())
        _refuse_other(direction)
        asked: Conditions = (OneOf(own_end(direction), (of,)),)
        if "kind" in filters:
            there = kind_cited(filters["kind"])
            pair = (there, of.kind) if direction == UP else (of.kind, there)
            asked = (*asked, OneOf(ENDS, (ends(*pair),)))
        others = {name: text for name, text in filters.items() if name != "kind"}
        return self._catalogue.page("edge", asked, cursor=cursor, limit=limit, filters=others)

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

    def _stage(self, node: Ref, at: int, instant: int) -> str | None:
        """The stage of an artifact as of a height and a time; `None` for what was not submitted by then."""
        now = self._heights.first("artifact-stage", {"artifact": node})
        if now is None:
            return None
        written = [now] if now.block < at else [e for e in self._readmodel.history(now.key) if e.block < at]
        return Standing.read(written[-1].value, written[-1].block).at(instant) if written else None

    def _withdrawn(self, node: Ref, at: int) -> bool:
        """Whether consent to a selection was withdrawn by a height; a mark is written once."""
        if locate(node)[0].record is not Selection:
            return False
        mark = self._heights.first("selection-mark", {"selection": node})
        return mark is not None and mark.block < at

    def _superseded_by(self, node: Ref, at: int) -> Ref | None:
        kind, _ = locate(node)
        after = successor(node)
        found = None if after is None else self._heights.first(*identifying(after))
        return after if found is not None and found.block < at and kind.replaced_by(found.value.get) else None


def _refuse_other(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise InvalidField("/direction", "it must be 'up' or 'down'")
