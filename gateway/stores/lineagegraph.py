# SPDX-License-Identifier: Apache-2.0
"""The lineage in memory, beside the read model: walks over all of it, as of any height.

The graph is never the only copy of anything. What the read model gained since the last question is added before the
next is answered, a piece at a time, so that first run, catch-up and rebuild are one path; while a piece is missing,
questions wait, and are refused for now where that takes longer than `WAIT`. One lock guards all of it: a walk sees
one state from its beginning to its end.

**What "as of" covers.** A height counts blocks: as of 7 is what blocks 0 to 6 say. Edges and versions are written once
and are there from the block that holds them; the stages of an artifact are all kept, each with the block that it was
written in; so edges, stages and what follows from quarantines are those of that height, and later blocks change nothing
of the answer. A quarantine that lapses by itself does so at a time, not in a block: so who asks says the time as well.
"""

import threading
import time
from array import array
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from sys import intern
from typing import Any, Final

import rustworkx

from chaincode.domain.lineage import LONGEST_PATH, REPLACES
from chaincode.domain.policy import Stage
from chaincode.domain.taint import Cause
from gateway.services.ports import ReadModel, Unavailable
from gateway.services.walks import Linked, Mark, Standing, Walked

WAIT: Final = 5.0
"""Seconds that a question waits for a graph that is being read."""
PIECE: Final = 20_000
"""Links that are added at once; others may ask in between."""
_KEPT: Final = 16
"""Walks that are remembered, so that the pages after the first cost no walk."""
_NEVER: Final = -1


class _Walk:
    """Nodes in the order of their distance, and where each distance ends."""

    __slots__ = ("ends", "kinds", "nodes")

    def __init__(self, layers: Iterable[Sequence[int]], kinds: Sequence[str]) -> None:
        self.nodes = array("I")
        self.ends: list[int] = []
        for layer in layers:
            # By their numbers, which are those of their first appearance: adjacency has an order of its own.
            self.nodes.extend(sorted(layer))
            self.ends.append(len(self.nodes))
        self.kinds = _counted(self.nodes[1:], kinds)


class _Side:
    """The edges in one direction: from every artifact to those below it, or to those above it."""

    __slots__ = ("graph", "newest")

    def __init__(self) -> None:
        self.graph: Any = rustworkx.PyDiGraph()
        """The weight of an edge is its block."""
        self.newest = array("q")
        """For every artifact the block of its last edge, or `_NEVER`."""

    def add(self, edges: Sequence[tuple[int, int, int]], nodes: int) -> None:
        """Add edges in the order of their blocks, and the artifacts up to a number of them."""
        missing = nodes - len(self.newest)
        self.graph.add_nodes_from([None] * missing)
        self.newest.extend([_NEVER] * missing)
        self.graph.add_edges_from(edges)
        for here, _, block in edges:
            self.newest[here] = block

    def next(self, here: int, at: int) -> Iterable[int]:
        """Where the edges of an artifact lead that are below a height."""
        if self.newest[here] < at:
            found: Iterable[int] = self.graph.successor_indices(here)
            return found
        return (there for _, there, block in self.graph.out_edges(here) if block < at)


class LineageGraph:
    """Implements `services.walks.LineageGraph` over a read model."""

    def __init__(self, readmodel: ReadModel, *, wait: float = WAIT, piece: int = PIECE) -> None:
        self._readmodel = readmodel
        self._wait = wait
        self._piece = piece
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._height = self._place = 0
        self._genesis: str | None = None
        self._forget()

    def start(self) -> None:
        """Read what there is in a thread of its own, so that the first question need not wait for it."""
        self._thread = threading.Thread(target=self._read_all, name="lineage", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the piece in hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def walk(
        self, of: str, *, down: bool, as_of: int | None, instant: int, depth: int | None, start: int, limit: int
    ) -> Linked:
        with self._current() as height:
            at = height if as_of is None else min(as_of, height)
            node = self._number.get(of)
            if node is None:
                return Linked(height, at, (), 0, 0, {})
            walk = self._walked(node, down=down, at=at)
            ends = walk.ends if depth is None else walk.ends[: depth + 1]
            whole = ends[-1] - 1
            kinds = walk.kinds if whole == len(walk.nodes) - 1 else _counted(walk.nodes[1 : whole + 1], self._kinds)
            stopped = self._stopped_at(at, instant)
            taint = self._taint(frozenset(stopped), at) if stopped else None
            items = []
            for place in range(1 + start, min(1 + start + limit, ends[-1])):
                one = walk.nodes[place]
                path = [] if taint is None else self._review(one, taint, at)
                items.append(
                    Walked(
                        self._names[one],
                        bisect_left(ends, place + 1),
                        self._stage(self._names[one], at, instant),
                        stopped.get(one),
                        tuple(self._names[each] for each in path),
                        stopped[path[-1]] if path else None,
                    )
                )
            return Linked(height, at, tuple(items), whole, len(ends) - 1, kinds)

    @property
    def size(self) -> tuple[int, int]:
        """How many artifacts and links are held now."""
        return len(self._names), len(self._blocks)

    # --- Keeping up ---------------------------------------------------------------------------------------------------

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if self._advance():
                    return

    def _current(self) -> "_Held":
        """The lock, held, over a graph that has all that the read model has now."""
        deadline = time.monotonic() + self._wait
        if not self._lock.acquire(timeout=self._wait):
            raise self._behind()
        try:
            while not self._advance():
                if time.monotonic() > deadline:
                    raise self._behind()
        except BaseException:
            self._lock.release()
            raise
        return _Held(self._lock, self._height)

    def _behind(self) -> Unavailable:
        return Unavailable(
            f"the lineage is still being read: {len(self._blocks)} links so far", code="lineage-being-read"
        )

    def _advance(self) -> bool:
        """Add the next piece; whether that was all."""
        if self._readmodel.height() < self._height or self._readmodel.genesis() != self._genesis:
            # The read model was emptied, or is of another chain now.
            self._forget()
        found = self._readmodel.links(self._place, self._height, self._piece)
        if found.places < self._place:
            self._forget()
            return False
        self._genesis = self._readmodel.genesis() if found.height else None
        for parent, child, relation, block, place in found.links:
            self._place = place
            self._add(parent, child, relation, block)
        self._flush()
        if found.more:
            return False
        for standing in found.standings:
            self._stand(standing)
        for mark in found.marks:
            self._mark(mark)
        self._height = found.height
        return True

    def _forget(self) -> None:
        self._height = self._place = 0
        self._genesis = None
        self._down, self._up = _Side(), _Side()
        self._names: list[str] = []
        self._number: dict[str, int] = {}
        self._kinds: list[str] = []
        self._blocks = array("q")
        """The block of every link, in their order, which is that of blocks."""
        self._pending: list[tuple[int, int, int]] = []
        # By names: numbers follow from the links alone, so that a list has the same order whenever it is read, and a
        # cursor goes on in it after a restart.
        self._standings: dict[str, list[Standing]] = {}
        self._quarantined: set[str] = set()
        """Artifacts that were quarantined at some height."""
        self._marked: dict[str, int] = {}
        """Selections to which consent was withdrawn, and the block that says so."""
        self._walks: OrderedDict[tuple[int, bool, int], _Walk] = OrderedDict()
        self._taints: OrderedDict[tuple[int, int, frozenset[int]], array[int]] = OrderedDict()

    def _add(self, parent: str, child: str, relation: str, block: int) -> None:
        if relation == REPLACES:
            return
        self._pending.append((self._known(parent), self._known(child), block))
        self._blocks.append(block)

    def _known(self, name: str) -> int:
        number = self._number.get(name)
        if number is None:
            number = self._number[name] = len(self._names)
            self._names.append(name)
            self._kinds.append(intern(name.partition(":")[0]))
        return number

    def _flush(self) -> None:
        self._down.add(self._pending, len(self._names))
        self._up.add([(child, parent, block) for parent, child, block in self._pending], len(self._names))
        self._pending = []

    def _stand(self, standing: Standing) -> None:
        self._standings.setdefault(standing.artifact, []).append(standing)
        if standing.stage == Stage.QUARANTINED:
            self._quarantined.add(standing.artifact)

    def _mark(self, mark: Mark) -> None:
        self._marked.setdefault(mark.selection, mark.block)

    # --- Walks --------------------------------------------------------------------------------------------------------

    def _walked(self, node: int, *, down: bool, at: int) -> _Walk:
        # What is seen depends on how many links there were, not on the height itself.
        links = bisect_left(self._blocks, at)
        key = (node, down, links)
        found = self._walks.pop(key, None)
        if found is None:
            found = _Walk(self._layers(self._down if down else self._up, [node], at), self._kinds)
        self._walks[key] = found
        if len(self._walks) > _KEPT:
            self._walks.popitem(last=False)
        return found

    def _layers(self, side: _Side, sources: list[int], at: int) -> Iterable[Sequence[int]]:
        """The nodes at each distance from the sources, nearest first; each node and each edge is looked at once."""
        if bisect_left(self._blocks, at) == len(self._blocks):
            return iter(rustworkx.bfs_layers(side.graph, sources))
        return _past_layers(side, sources, at)

    # --- Stages, and what follows from quarantines and withdrawals ----------------------------------------------------

    def _stage(self, artifact: str, at: int, instant: int) -> str | None:
        """The stage of an artifact as of a height and a time; `None` for what was not submitted by then."""
        last = None
        for standing in self._standings.get(artifact, ()):
            if standing.block < at:
                last = standing
        return None if last is None else last.at(instant)

    def _stopped_at(self, at: int, instant: int) -> dict[int, Cause]:
        """What was stopped as of a height and a time, and why."""
        held = (each for each in self._quarantined if self._stage(each, at, instant) == Stage.QUARANTINED)
        marked = (each for each, block in self._marked.items() if block < at)
        stopped = dict.fromkeys(held, Cause.QUARANTINED) | dict.fromkeys(marked, Cause.WITHDRAWN)
        return {self._number[each]: cause for each, cause in stopped.items() if each in self._number}

    def _taint(self, stopped: frozenset[int], at: int) -> "array[int]":
        """For every artifact the distance to its nearest stopped ancestor, or `_NEVER`."""
        key = (bisect_left(self._blocks, at), len(self._names), stopped)
        found = self._taints.pop(key, None)
        if found is None:
            found = array("i", [_NEVER]) * len(self._names)
            for distance, layer in enumerate(self._layers(self._down, sorted(stopped), at)):
                for node in layer:
                    found[node] = distance
        self._taints[key] = found
        if len(self._taints) > 2:
            self._taints.popitem(last=False)
        return found

    def _review(self, node: int, taint: "array[int]", at: int) -> list[int]:
        """The shortest path up to the nearest stopped ancestor; without its middle where it is long."""
        if taint[node] <= 0:
            return []
        path = [node]
        while taint[node]:
            node = min(above for above in self._up.next(node, at) if taint[above] == taint[node] - 1)
            if len(path) < LONGEST_PATH - 1:
                path.append(node)
        if path[-1] != node:
            path.append(node)
        return path


def _past_layers(side: _Side, sources: list[int], at: int) -> Iterator[Sequence[int]]:
    seen, layer = set(sources), sources
    while layer:
        yield layer
        reached: set[int] = set()
        for here in layer:
            reached.update(side.next(here, at))
        reached -= seen
        seen |= reached
        layer = list(reached)


def _counted(nodes: Iterable[int], kinds: Sequence[str]) -> dict[str, int]:
    return dict(Counter(map(kinds.__getitem__, nodes)))


class _Held:
    """The graph's lock while it is held; gives the height that the graph has."""

    def __init__(self, lock: threading.Lock, height: int) -> None:
        self._lock = lock
        self._height = height

    def __enter__(self) -> int:
        return self._height

    def __exit__(self, *_: object) -> None:
        self._lock.release()
