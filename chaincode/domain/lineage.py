# SPDX-License-Identifier: Apache-2.0
"""Ancestry and impact, over lookup functions: what something was made from, and what was made from it.

Walks are iterative and bounded. An artifact is *review-required* when one that it was made from is quarantined, or is
a selection to which the consent was withdrawn; that is computed on reading and never written, for writing every
descendant would make unrelated transactions collide.

A data set version that extends the one before it holds all its records, and so was made from it. One that replaces
the one before it was not: the two are shown beside each other, and neither review nor a walk goes on from one to the
other. A version that replaces another and was also derived from it says both.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from chaincode.domain.errors import InvalidField, LineageCycle, SelfParent, TooLarge
from chaincode.domain.values import Answer, Count, Query, Record, Ref, Text

DEFAULT_LIMIT: Final = Count(1_000)
"""How many nodes a walk visits where the question does not say."""
MOST_NODES: Final = 10_000
"""How many nodes a walk visits at most."""
MOST_ASKED: Final = 1_000
"""How many nodes a walk visits at most that a peer answers.

A node costs a few calls of the peer, which ends a call after its time. A range without pages ends silently at the
peer's `totalQueryLimit` (100,000 as delivered), which `EDGES_PER_NODE` times this stays below: a walk that was cut says
so. A gateway walks further, over its read model.
"""
MOST_ANCESTORS: Final = 1_000
"""How many ancestors a transaction reads to show that no circle closes."""
LONGEST_PATH: Final = 32
"""The longest path that an answer spells out for a node; longer ones lack their middle."""
EDGES_PER_NODE: Final = 10
"""How many edges a walk reads for each node of its limit."""


REPLACES: Final = Text("replaces")
"""The relation of a version that was put in the place of the one before it and not made from it."""


@dataclass(frozen=True, slots=True)
class Edge(Record):
    """`child` was made from `parent` or replaces it; written with the child, so that it can be read from the parent."""

    parent: Ref
    child: Ref
    relation: Text
    """``extends``, ``replaces``, an activity, ``selected``, ``input:<role>``, ``trained``, ``evaluated``, ``deployed``
    or a model relation.

    Where several hold between the same two, they are joined with ``+``.
    """


@dataclass(frozen=True, slots=True)
class Ancestry(Query):
    """Ask what an artifact was made from, to any depth, up to `limit` nodes."""

    of: Ref
    limit: Count = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Impact(Query):
    """Ask what was made from an artifact, to any depth, up to `limit` nodes."""

    of: Ref
    limit: Count = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Node:
    """An artifact in a lineage, by its least distance from the one that was asked about."""

    reference: Ref
    distance: Count
    quarantined: bool
    review_path: tuple[Ref, ...] = field(default=(), metadata={"max": LONGEST_PATH})
    """From this node up to the nearest stopped ancestor that the walk saw; not empty: review is required.

    A path of more than `LONGEST_PATH` nodes is given by its beginning and, last, that ancestor.
    """
    superseded_by: Ref | None = None
    """The version that replaces this one; what was made from this one was not made from that."""
    withdrawn: bool | None = None
    """True for a selection to which consent was withdrawn; None for all else."""
    quorum_lost: bool | None = None
    """True for what was approved by a quorum that is not there any more; None for all else."""


@dataclass(frozen=True, slots=True)
class Lineage(Answer):
    """The artifacts reached from `of`, nearest first, and the edges among them."""

    of: Ref
    nodes: tuple[Node, ...] = field(metadata={"max": MOST_NODES})
    edges: tuple[Edge, ...] = field(metadata={"max": EDGES_PER_NODE * MOST_NODES})
    complete: bool
    """False where the limit cut the walk short."""


def walk(
    of: Ref,
    *,
    limit: int,
    edges_of: Callable[[Ref], Iterable[Edge]],
    quarantined: Callable[[Ref], bool],
    withdrawn: Callable[[Ref], bool],
    superseded_by: Callable[[Ref], Ref | None],
    lost: Callable[[Ref], bool],
    most: int = MOST_NODES,
) -> Lineage:
    """Visit what the edges of `of` lead to, breadth first, up to `limit` nodes, which may be `most`.

    `edges_of` answers the edges from a node to its parents (ancestry) or to its children (impact), always the same
    way round; `quarantined` and `withdrawn` whether a node is stopped now, and for what; `superseded_by` which version
    replaces a node; `lost` whether its approval has lost its quorum.
    """
    if not 1 <= limit <= most:
        raise InvalidField("/limit", f"it must be from 1 to {most}")
    distance = {of: 0}
    beside: dict[Ref, int] = {}
    """What was seen only as replacing or replaced: it is shown, and the walk does not go on from it."""
    edges: dict[tuple[Ref, Ref], Edge] = {}
    complete, read = True, 0
    waiting = deque([of])
    while waiting:
        here = waiting.popleft()
        for edge in edges_of(here):
            read += 1
            if read > EDGES_PER_NODE * limit:
                # One node may have very many children: what is read is bounded as well as what is visited.
                complete = False
                waiting.clear()
                break
            there = edge.parent if edge.child == here else edge.child
            known = there in distance or there in beside
            if not known and len(distance) + len(beside) == limit:
                complete = False
                continue
            edges[edge.parent, edge.child] = edge
            if edge.relation == REPLACES:
                if not known:
                    beside[there] = distance[here] + 1
            elif there not in distance:
                beside.pop(there, None)
                distance[there] = distance[here] + 1
                waiting.append(there)
    reached = distance | beside
    held = {node for node in reached if quarantined(node)}
    taken_back = {node for node in reached if withdrawn(node)}
    paths = _review_paths(held | taken_back, edges.values())
    return Lineage(
        of=of,
        nodes=tuple(
            Node(
                node,
                Count(far),
                node in held,
                paths.get(node, ()),
                superseded_by(node),
                node in taken_back or None,
                lost(node) or None,
            )
            for node, far in sorted(reached.items(), key=lambda item: item[1])
        ),
        edges=tuple(edges.values()),
        complete=complete,
    )


def _review_paths(stopped: Iterable[Ref], edges: Iterable[Edge]) -> dict[Ref, tuple[Ref, ...]]:
    """For every node below a stopped one, the shortest path up to the nearest such node."""
    below: dict[Ref, list[Ref]] = {}
    for edge in edges:
        if edge.relation != REPLACES:
            below.setdefault(edge.parent, []).append(edge.child)
    up: dict[Ref, Ref] = {}
    source = {node: node for node in sorted(stopped)}
    waiting = deque(source)
    while waiting:
        parent = waiting.popleft()
        for child in below.get(parent, ()):
            if child not in source:
                up[child], source[child] = parent, source[parent]
                waiting.append(child)
    return {node: _climb(node, up, source[node]) for node in up}


def _climb(node: Ref, up: dict[Ref, Ref], source: Ref) -> tuple[Ref, ...]:
    path = [node]
    while path[-1] in up and len(path) < LONGEST_PATH - 1:
        path.append(up[path[-1]])
    return tuple(path) if path[-1] == source else (*path, source)


def refuse_circle(child: Ref, parent: Ref, parents_of: Callable[[Ref], Iterable[Ref]]) -> None:
    """Refuse an edge that would make `child` its own ancestor; `LineageCycle` names the circle.

    Visits `parent` and its ancestors, at most `MOST_ANCESTORS`, and refuses what it cannot finish with `TooLarge`.
    """
    if child == parent:
        raise SelfParent(child)
    below = {parent: child}
    waiting = deque([parent])
    while waiting:
        here = waiting.popleft()
        if here == child:
            circle = [child]
            while (step := below[circle[-1]]) != child:
                circle.append(step)
            raise LineageCycle((child, *reversed(circle)))
        for above in parents_of(here):
            if above not in below:
                if len(below) == MOST_ANCESTORS:
                    raise TooLarge("/parent", MOST_ANCESTORS)
                below[above] = here
                waiting.append(above)
