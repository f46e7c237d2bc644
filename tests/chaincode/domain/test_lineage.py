# SPDX-License-Identifier: Apache-2.0
"""Lineage over any graph: nothing becomes its own ancestor, walks end, taint has a path."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import lineage
from chaincode.domain.errors import LineageCycle, SelfParent, TooLarge
from chaincode.domain.lineage import Edge, refuse_circle, walk
from chaincode.domain.values import Ref, Text, dataset_version_ref, run_ref

NODES = [run_ref(f"n{index}") for index in range(8)]
pairs = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=40)


def never(_):
    return False


def nothing(_):
    """Nothing is superseded."""


UNTOUCHED = {"superseded_by": nothing, "lost": never}


def grow(attempts):
    """Add each (child, parent) that is not refused."""
    parents: dict[Ref, list[Ref]] = {node: [] for node in NODES}
    for child, parent in attempts:
        try:
            refuse_circle(child, parent, parents.__getitem__)
        except (LineageCycle, SelfParent):
            continue
        parents[child].append(parent)
    return parents


def ancestors(node, parents):
    found = set()
    waiting = [node]
    while waiting:
        for parent in parents[waiting.pop()]:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


@given(pairs)
def test_whatever_is_tried_nothing_becomes_its_own_ancestor(attempts):
    parents = grow(attempts)
    assert not any(node in ancestors(node, parents) for node in NODES)


@given(pairs, st.sampled_from(NODES), st.sampled_from(NODES))
def test_an_edge_is_refused_exactly_when_it_would_close_a_circle(attempts, child, parent):
    parents = grow(attempts)
    closes = child in ancestors(parent, parents)
    if child == parent:
        with pytest.raises(SelfParent):
            refuse_circle(child, parent, parents.__getitem__)
    elif closes:
        with pytest.raises(LineageCycle) as caught:
            refuse_circle(child, parent, parents.__getitem__)
        path = caught.value.path
        assert (path[0], path[1], path[-1]) == (child, parent, child)
        assert all(up in parents[down] for down, up in pairwise(path[1:]))
    else:
        refuse_circle(child, parent, parents.__getitem__)


def _edges_up(parents):
    return lambda node: [Edge(parent, node, Text("x")) for parent in parents[node]]


@given(pairs, st.sampled_from(NODES), st.sets(st.sampled_from(NODES)), st.sets(st.sampled_from(NODES)))
def test_a_walk_finds_every_ancestor_and_what_taints_it(attempts, start, held, withdrawn):
    parents = grow(attempts)
    stopped = held | withdrawn
    found = walk(
        start,
        limit=100,
        edges_of=_edges_up(parents),
        quarantined=held.__contains__,
        withdrawn=withdrawn.__contains__,
        **UNTOUCHED,
    )
    assert {node.reference for node in found.nodes} == ancestors(start, parents) | {start}
    assert found.complete
    assert [node.distance for node in found.nodes] == sorted(node.distance for node in found.nodes)
    for node in found.nodes:
        tainted = bool(ancestors(node.reference, parents) & stopped)
        assert node.quarantined is (node.reference in held)
        assert node.withdrawn is (True if node.reference in withdrawn else None)
        if node.reference in stopped:
            continue
        assert bool(node.review_path) is tainted
        if tainted:
            path = node.review_path
            assert path[0] == node.reference
            assert path[-1] in stopped
            assert all(up in parents[down] for down, up in pairwise(path))


def test_a_deep_lineage_is_walked_without_recursion():
    chain = {run_ref(f"n{index}"): [run_ref(f"n{index + 1}")] for index in range(5_000)} | {run_ref("n5000"): []}
    found = walk(
        run_ref("n0"),
        limit=10_000,
        edges_of=_edges_up(chain),
        quarantined=lambda node: node == "run:n5000",
        withdrawn=never,
        **UNTOUCHED,
    )
    assert len(found.nodes) == 5_001
    path = found.nodes[0].review_path
    assert path == (*(run_ref(f"n{index}") for index in range(lineage.LONGEST_PATH - 1)), run_ref("n5000"))
    short = found.nodes[5_001 - lineage.LONGEST_PATH].review_path
    assert len(short) == lineage.LONGEST_PATH
    assert all(up in chain[down] for down, up in pairwise(short))


def test_a_long_quarantined_chain_does_not_make_a_long_answer():
    chain = {run_ref(f"n{index}"): [run_ref(f"n{index + 1}")] for index in range(9_999)} | {run_ref("n9999"): []}
    found = walk(
        run_ref("n0"),
        limit=10_000,
        edges_of=_edges_up(chain),
        quarantined=lambda node: node == "run:n9999",
        withdrawn=never,
        **UNTOUCHED,
    )
    assert sum(len(node.review_path) for node in found.nodes) <= lineage.LONGEST_PATH * 10_000


def test_one_node_with_very_many_children_is_bounded():
    def edges(node):
        if node != NODES[0]:
            return
        for index in range(10**9):
            yield Edge(node, run_ref(f"c{index}"), Text("x"))

    found = walk(NODES[0], limit=10, edges_of=edges, quarantined=never, withdrawn=never, **UNTOUCHED)
    assert (len(found.nodes), found.complete) == (10, False)


def test_edges_are_bounded_even_among_few_nodes(monkeypatch):
    monkeypatch.setattr(lineage, "EDGES_PER_NODE", 1)
    parents = {NODES[0]: [NODES[1], NODES[2]], NODES[1]: [NODES[2]], NODES[2]: []}
    found = walk(
        NODES[0],
        limit=3,
        edges_of=_edges_up(parents),
        quarantined=never,
        withdrawn=never,
        **UNTOUCHED,
    )
    assert (len(found.edges), found.complete) == (3, True)
    parents |= {NODES[2]: [NODES[3]]}
    found = walk(
        NODES[0],
        limit=3,
        edges_of=_edges_up(parents),
        quarantined=never,
        withdrawn=never,
        **UNTOUCHED,
    )
    assert (len(found.edges), found.complete) == (3, False)


def test_a_circle_that_cannot_be_excluded_in_time_is_refused(monkeypatch):
    monkeypatch.setattr(lineage, "MOST_ANCESTORS", 3)
    chain = {node: [up] for node, up in pairwise(NODES)}
    with pytest.raises(TooLarge):
        refuse_circle(run_ref("x"), NODES[0], lambda node: chain.get(node, []))


def test_a_shared_ancestor_is_visited_once():
    above = {NODES[0]: [NODES[1], NODES[2]], NODES[1]: [NODES[3]], NODES[2]: [NODES[3]]}
    visited = []

    def parents_of(node):
        visited.append(node)
        return above.get(node, [])

    refuse_circle(run_ref("x"), NODES[0], parents_of)
    assert sorted(visited) == sorted(set(visited))


def data(number):
    return dataset_version_ref("d", number)


def succession(*edges):
    """Edges in both directions over versions of one data set: (parent, child, relation)."""
    built = [Edge(parent, child, Text(relation)) for parent, child, relation in edges]
    return (
        lambda node: [edge for edge in built if edge.child == node],
        lambda node: [edge for edge in built if edge.parent == node],
    )


@pytest.mark.parametrize(
    ("relation", "tainted", "reached"),
    [("extends", True, True), ("replaces", False, False), ("replaces+filter", True, True)],
)
def test_taint_and_impact_pass_along_extends_and_stop_at_replaces(relation, tainted, reached):
    up, down = succession((data(1), data(2), relation), (data(2), run_ref("r"), "input:train"))
    below = walk(data(1), limit=9, edges_of=down, quarantined=data(1).__eq__, withdrawn=never, **UNTOUCHED)
    assert [node.reference for node in below.nodes] == [data(1), data(2), *([run_ref("r")] if reached else [])]
    assert bool(below.nodes[1].review_path) is tainted
    above = walk(
        run_ref("r"),
        limit=9,
        edges_of=up,
        quarantined=data(1).__eq__,
        withdrawn=never,
        **UNTOUCHED,
    )
    assert [node.reference for node in above.nodes] == [run_ref("r"), data(2), data(1)]
    assert above.nodes[0].review_path == ((run_ref("r"), data(2), data(1)) if tainted else ())
    assert len(above.edges) == 2


def test_what_replaces_a_version_is_shown_with_it():
    _, down = succession((data(1), data(2), "replaces"))
    found = walk(
        data(1),
        limit=9,
        edges_of=down,
        quarantined=never,
        withdrawn=never,
        superseded_by=lambda node: data(2) if node == data(1) else None,
        lost=never,
    )
    assert [node.superseded_by for node in found.nodes] == [data(2), None]
    assert (found.complete, found.edges[0].relation) == (True, "replaces")


def test_a_walk_goes_on_from_what_is_reached_by_descent_as_well():
    """`d:3` replaces `d:1` and was made from `d:2`, which extends `d:1`; the edge of replacement is seen first."""
    _, down = succession(
        (data(1), data(3), "replaces"),
        (data(1), data(2), "extends"),
        (data(1), data(4), "replaces"),
        (data(2), data(4), "replaces"),
        (data(2), data(3), "filter"),
        (data(3), run_ref("r"), "input:train"),
    )
    found = walk(data(1), limit=9, edges_of=down, quarantined=data(1).__eq__, withdrawn=never, **UNTOUCHED)
    assert [(node.reference, node.distance) for node in found.nodes] == [
        (data(1), 0),
        (data(2), 1),
        (data(4), 1),
        (data(3), 2),
        (run_ref("r"), 3),
    ]
    assert [bool(node.review_path) for node in found.nodes] == [False, True, False, True, True]
    cut = walk(data(1), limit=3, edges_of=down, quarantined=never, withdrawn=never, **UNTOUCHED)
    assert (len(cut.nodes), cut.complete) == (3, False)
