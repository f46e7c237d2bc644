# SPDX-License-Identifier: Apache-2.0
"""The lineage in memory answers as a naive walk over the same edges does, at every height, however it was read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.domain import codec
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import LONGEST_PATH, Edge
from chaincode.domain.values import Ref, Text, run_ref
from gateway.services.filters import InvalidParameter
from gateway.services.lineage import DOWN, UP, LineageReader
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite, Unavailable
from gateway.services.walks import Links
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

Blocks = Sequence[Sequence[tuple[str, Any]]]
QUARANTINED = "quarantined"


def run(number: int) -> Ref:
    return run_ref(f"r{number}")


def edge(parent: Ref, child: Ref, relation: str = "extends") -> tuple[str, Any]:
    made = Edge(parent, child, Text(relation))
    return key_of(made), codec.to_plain(made)


def node(number: int) -> tuple[str, Any]:
    return f"\x00training-run\x00r{number}\x00", {"kind": "training-run", "run": f"r{number}"}


def stage(of: Ref, name: str) -> tuple[str, Any]:
    return f"\x00artifact-stage\x00{of}\x00", {"kind": "artifact-stage", "artifact": of, "stage": name}


@contextmanager
def opened() -> Iterator[ReadModelStore]:
    with TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "readmodel.db", "readmodel", durable=False)
        yield ReadModelStore(database)
        database.close()


@pytest.fixture
def model() -> Iterator[ReadModelStore]:
    with opened() as found:
        yield found


def append(model: ReadModelStore, writes: Sequence[tuple[str, Any]]) -> None:
    number = model.height()
    entries = tuple(LedgerWrite(key, value) for key, value in writes)
    done = LedgerTransaction(f"{number:064x}", 0, 0, "HospitalMSP", "2026-01-01T00:00:00Z", None, entries)
    model.apply(LedgerBlock(number, f"{number:02x}", "" if number == 0 else f"{number - 1:02x}", (done,)))


def naive(blocks: Blocks, of: Ref, direction: str, at: int) -> dict[str, int]:
    """The distance of everything that is reached, but for the beginning."""
    edges = [value for block in blocks[:at] for _, value in block if value["kind"] == "edge"]
    near, far = ("parent", "child") if direction == DOWN else ("child", "parent")
    found, layer = {str(of): 0}, [str(of)]
    while layer:
        below = [e[far] for here in layer for e in edges if e[near] == here and e["relation"] != "replaces"]
        layer = [each for each in dict.fromkeys(below) if each not in found]
        found.update(dict.fromkeys(layer, max(found.values()) + 1))
    del found[str(of)]
    return found


def nearest_stopped(blocks: Blocks, of: Ref, at: int) -> int | None:
    """How far above an artifact the nearest one is that is quarantined at a height."""
    last = {value["artifact"]: value["stage"] for block in blocks[:at] for _, value in block if "artifact" in value}
    above = naive(blocks, of, UP, at)
    return min((far for each, far in above.items() if last.get(each) == QUARANTINED), default=None)


@st.composite
def histories(draw: st.DrawFn) -> Blocks:
    """Up to seven blocks: nodes, edges from lower numbers to higher ones, and stages that come and go."""
    size = draw(st.integers(2, 9))
    pairs = [(a, b) for b in range(size) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20))
    relations = st.sampled_from(["extends", "extends", "input:train", "replaces"])
    blocks: list[list[tuple[str, Any]]] = [[node(each) for each in range(size)], []]
    for a, b in chosen:
        if draw(st.booleans()):
            blocks.append([])
        blocks[-1].append(edge(run(a), run(b), draw(relations)))
        if draw(st.integers(0, 3)) == 0:
            blocks.append([stage(run(a), draw(st.sampled_from([QUARANTINED, "draft"])))])
    return blocks


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(1, 5), st.data())
def test_it_answers_as_a_naive_walk_does_at_every_height(blocks: Blocks, piece: int, data: st.DataObject) -> None:
    with opened() as model:
        grown = LineageGraph(model, piece=piece)
        for block in blocks:
            append(model, block)
            if data.draw(st.booleans()):
                grown.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=1)
        fresh = LineageGraph(model)
        reader = LineageReader(model, grown)
        for at in range(1, len(blocks) + 1):
            of, direction = run(data.draw(st.integers(0, len(blocks[0]) - 1))), data.draw(st.sampled_from([UP, DOWN]))
            expected = naive(blocks, of, direction, at)
            answer = grown.walk(of, down=direction == DOWN, as_of=at, depth=None, start=0, limit=100)
            assert {each.reference: each.distance for each in answer.items} == expected
            assert [each.distance for each in answer.items] == sorted(expected.values())
            assert answer.count == len(expected) == sum(answer.kinds.values())
            for each in answer.items:
                far = nearest_stopped(blocks, Ref(each.reference), at)
                assert len(each.review_path) == (
                    0 if far is None or is_stopped(blocks, each.reference, at) else far + 1
                )
            again = fresh.walk(of, down=direction == DOWN, as_of=at, depth=None, start=0, limit=100)
            assert again == answer
            assert paged(reader, of, direction, at) == [each.reference for each in answer.items]


def is_stopped(blocks: Blocks, of: str, at: int) -> bool:
    return [value["stage"] for block in blocks[:at] for _, value in block if value.get("artifact") == of][-1:] == [
        QUARANTINED
    ]


def paged(reader: LineageReader, of: Ref, direction: str, at: int) -> list[str]:
    found: list[str] = []
    cursor: Any = None
    while True:
        answer: Any = reader.reached(of, direction, as_of=at, depth=None, cursor=cursor, limit=2)
        found += [each["reference"] for each in answer["items"]]
        assert answer["count"] == len(found) + answer["left"]
        cursor = answer["next"]
        if cursor is None:
            return found


class Stubborn:
    """A read model that hands out one link at a time, and none while it is told to be slow."""

    def __init__(self, model: ReadModelStore) -> None:
        self._model = model
        self.left = 0

    def links(self, place: int, block: int, limit: int) -> Links:
        if self.left == 0:
            height = self._model.height()
            return Links(height, 10**9, (), True, ())
        self.left -= 1
        return self._model.links(place, block, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def chain(model: ReadModelStore, length: int) -> None:
    append(model, [node(each) for each in range(length)])
    for each in range(1, length):
        append(model, [edge(run(each - 1), run(each))])


def test_questions_are_told_to_come_back_while_the_lineage_is_read(model: ReadModelStore) -> None:
    chain(model, 4)
    slow: Any = Stubborn(model)
    graph = LineageGraph(slow, wait=0.02)
    with pytest.raises(Unavailable, match="still being read: 0 links so far"):
        graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10)
    slow.left = 1
    with pytest.raises(Unavailable, match="1 links so far"):
        graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10)
    slow.left = 1_000
    assert graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10).count == 3


def test_it_is_read_in_a_thread_of_its_own_and_follows_a_rebuild(model: ReadModelStore) -> None:
    chain(model, 5)
    graph = LineageGraph(model, piece=1)
    graph.start()
    graph.stop()
    before = graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10)
    assert before.count == 4
    model.clear()
    empty = graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10)
    assert (empty.count, empty.height, graph.size) == (0, 0, (0, 0))
    chain(model, 5)
    assert graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10) == before


def test_a_long_review_path_is_told_by_its_ends(model: ReadModelStore) -> None:
    chain(model, 3 * LONGEST_PATH)
    append(model, [stage(run(0), QUARANTINED)])
    answer = LineageGraph(model).walk(run(0), down=True, as_of=None, depth=None, start=0, limit=1_000)
    last = answer.items[-1]
    assert (len(last.review_path), last.review_path[0], last.review_path[-1]) == (LONGEST_PATH, last.reference, run(0))


def test_stages_and_quarantines_are_those_of_the_height(model: ReadModelStore) -> None:
    chain(model, 3)  # height 3
    append(model, [stage(run(0), QUARANTINED)])
    append(model, [stage(run(0), "approved")])
    append(model, [node(3), edge(run(2), run(3))])
    reader = LineageReader(model, LineageGraph(model))
    seen = {}
    for at in (3, 4, 5, 6):
        answer: Any = reader.reached(run(0), DOWN, as_of=at, depth=None, cursor=None, limit=50)
        walked: Any = reader.lineage(run(0), DOWN, as_of=at)
        assert answer["as_of"] == at
        assert {each["reference"] for each in walked["nodes"]} == {
            run(0), *(each["reference"] for each in answer["items"])
        }  # fmt: skip
        in_review = [each["reference"] for each in answer["items"] if each["review_path"]]
        assert in_review == [each["reference"] for each in walked["nodes"] if each["review_path"]]
        assert walked["nodes"][0]["quarantined"] == (at == 4)
        seen[at] = (answer["count"], in_review)
    assert seen == {3: (2, []), 4: (2, [run(1), run(2)]), 5: (2, []), 6: (3, [])}


def test_a_height_that_is_not_reached_is_refused_and_what_was_not_there_is_not_found(model: ReadModelStore) -> None:
    chain(model, 3)
    append(model, [node(9)])
    reader = LineageReader(model, LineageGraph(model))
    with pytest.raises(InvalidParameter, match="as_of: it must be at most 4"):
        reader.reached(run(0), DOWN, as_of=5, depth=None, cursor=None, limit=5)
    with pytest.raises(RecordNotFound):
        reader.reached(run(9), DOWN, as_of=3, depth=None, cursor=None, limit=5)


def test_a_cursor_keeps_the_height_while_the_ledger_grows(model: ReadModelStore) -> None:
    chain(model, 4)
    reader = LineageReader(model, LineageGraph(model))
    first: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=None, limit=1)
    append(model, [node(7), edge(run(0), run(7))])
    second: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=first["next"], limit=9)
    assert (second["as_of"], [each["reference"] for each in second["items"]]) == (4, [run(2), run(3)])
    with pytest.raises(InvalidParameter, match="as_of"):
        reader.reached(run(0), DOWN, as_of=5, depth=None, cursor=first["next"], limit=9)
    with pytest.raises(InvalidParameter, match="cursor"):
        reader.reached(run(1), DOWN, as_of=None, depth=None, cursor=first["next"], limit=9)


def test_depth_ends_a_list_and_its_counts(model: ReadModelStore) -> None:
    chain(model, 6)
    reader = LineageReader(model, LineageGraph(model))
    answer: Any = reader.reached(run(1), DOWN, as_of=None, depth=2, cursor=None, limit=9)
    assert [each["reference"] for each in answer["items"]] == [run(2), run(3)]
    assert (answer["count"], answer["depth"], answer["kinds"]) == (2, 2, [{"kind": "run", "count": 2}])
    alone: Any = reader.reached(run(5), DOWN, as_of=None, depth=2, cursor=None, limit=9)
    assert (alone["items"], alone["count"], alone["depth"], alone["kinds"]) == ([], 0, 0, [])


def test_a_diamond_with_very_many_edges_is_walked_once(model: ReadModelStore) -> None:
    """Between its ends are complete layers: 2 + 6 × 40 artifacts have 200 ways to a power of six, and 8,080 edges."""
    layers, wide = 6, 40
    append(model, [node(each) for each in range(layers * wide + 2)])
    rows = [range(1 + row * wide, 1 + (row + 1) * wide) for row in range(layers)]
    pairs = [(0, b) for b in rows[0]] + [(a, layers * wide + 1) for a in rows[-1]]
    pairs += [(a, b) for above, below in pairwise(rows) for a in above for b in below]
    append(model, [edge(run(a), run(b)) for a, b in pairs])
    append(model, [stage(run(0), QUARANTINED)])
    graph = LineageGraph(model)
    answer = graph.walk(run(0), down=True, as_of=None, depth=None, start=0, limit=10)
    assert (answer.count, answer.depth, len(answer.items)) == (layers * wide + 1, layers + 1, 10)
    last = graph.walk(run(0), down=True, as_of=None, depth=None, start=answer.count - 1, limit=10).items
    assert [len(each.review_path) for each in last] == [layers + 2]
    climbed = graph.climb(run(layers * wide + 1), as_of=None, most=10_000)
    assert (len(climbed.below), climbed.complete) == (layers * wide + 1, True)
    few = graph.climb(run(layers * wide + 1), as_of=None, most=7)
    assert (len(few.below), few.complete) == (7, False)
