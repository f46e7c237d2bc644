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
from chaincode.domain.lifecycle import ArtifactStage, standing_at
from chaincode.domain.lineage import LONGEST_PATH, Edge
from chaincode.domain.policy import Stage
from chaincode.domain.values import Count, Digest, Instant, OrgId, Ref, Text, run_ref
from gateway.services.cursors import closed
from gateway.services.filters import InvalidParameter
from gateway.services.lineage import DOWN, UP, LineageReader
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite, Unavailable
from gateway.services.walks import Link, Links, Standing
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

Blocks = Sequence[Sequence[tuple[str, Any]]]
QUARANTINED = "quarantined"
NOW = 1_800_000_000_000
"""Milliseconds since 1970: later than every block here."""


def clock() -> float:
    return NOW / 1_000


def run(number: int) -> Ref:
    return run_ref(f"r{number}")


def edge(parent: Ref, child: Ref, relation: str = "extends") -> tuple[str, Any]:
    made = Edge(parent, child, Text(relation))
    return key_of(made), codec.to_plain(made)


def node(number: int) -> tuple[str, Any]:
    return f"\x00training-run\x00r{number}\x00", {"kind": "training-run", "run": f"r{number}"}


def stage(of: Ref, name: str, **more: Any) -> tuple[str, Any]:
    return f"\x00artifact-stage\x00{of}\x00", {"kind": "artifact-stage", "artifact": of, "stage": name, **more}


def mark(of: Ref) -> tuple[str, Any]:
    return f"\x00selection-mark\x00{of}\x00", {"kind": "selection-mark", "selection": of, "number": 2}


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


def append(model: ReadModelStore, writes: Sequence[tuple[str, Any]], at: str = "2026-01-01T00:00:00Z") -> None:
    number = model.height()
    entries = tuple(LedgerWrite(key, value) for key, value in writes)
    done = LedgerTransaction(f"{number:064x}", 0, 0, "HospitalMSP", at, None, entries)
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
                grown.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=1)
        fresh = LineageGraph(model)
        reader = LineageReader(model, grown, clock)
        for at in range(1, len(blocks) + 1):
            of, direction = run(data.draw(st.integers(0, len(blocks[0]) - 1))), data.draw(st.sampled_from([UP, DOWN]))
            expected = naive(blocks, of, direction, at)
            answer = grown.walk(of, down=direction == DOWN, as_of=at, instant=NOW, depth=None, start=0, limit=100)
            assert {each.reference: each.distance for each in answer.items} == expected
            assert [each.distance for each in answer.items] == sorted(expected.values())
            assert answer.count == len(expected) == sum(answer.kinds.values())
            for each in answer.items:
                far = nearest_stopped(blocks, Ref(each.reference), at)
                assert len(each.review_path) == (
                    0 if far is None or is_stopped(blocks, each.reference, at) else far + 1
                )
            again = fresh.walk(of, down=direction == DOWN, as_of=at, instant=NOW, depth=None, start=0, limit=100)
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
        graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10)
    slow.left = 1
    with pytest.raises(Unavailable, match="1 links so far"):
        graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10)
    slow.left = 1_000
    assert graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10).count == 3


def test_it_is_read_in_a_thread_of_its_own_and_follows_a_rebuild(model: ReadModelStore) -> None:
    chain(model, 5)
    graph = LineageGraph(model, piece=1)
    graph.start()
    graph.stop()
    before = graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10)
    assert before.count == 4
    model.clear()
    empty = graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10)
    assert (empty.count, empty.height, graph.size) == (0, 0, (0, 0))
    chain(model, 5)
    assert graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10) == before


def test_a_long_review_path_is_told_by_its_ends(model: ReadModelStore) -> None:
    chain(model, 3 * LONGEST_PATH)
    append(model, [stage(run(0), QUARANTINED)])
    answer = LineageGraph(model).walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=1_000)
    last = answer.items[-1]
    assert (len(last.review_path), last.review_path[0], last.review_path[-1]) == (LONGEST_PATH, last.reference, run(0))


def test_stages_and_quarantines_are_those_of_the_height(model: ReadModelStore) -> None:
    chain(model, 3)  # height 3
    append(model, [stage(run(0), QUARANTINED)])
    append(model, [stage(run(0), "approved")])
    append(model, [node(3), edge(run(2), run(3))])
    reader = LineageReader(model, LineageGraph(model), clock)
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


LAPSE = 1_767_225_660_000
"""2026-01-01T00:01:00Z."""
BEFORE, AFTER = "2026-01-01T00:00:59.999Z", "2026-01-01T00:01:00Z"


def test_a_quarantine_lapses_by_the_clock_and_as_of_a_height_by_its_last_block(model: ReadModelStore) -> None:
    chain(model, 2)  # height 2
    append(model, [stage(run(0), QUARANTINED, lapses_at=LAPSE, quarantined_from="approved")])
    append(model, [node(5)], BEFORE)
    append(model, [node(6)], AFTER)
    append(model, [])  # nothing was written in it: its time counts for nothing
    now = LAPSE - 1
    reader = LineageReader(model, LineageGraph(model), lambda: now / 1_000)

    def seen(at: int | None) -> list[Any]:
        page: Any = reader.reached(run(0), DOWN, as_of=at, depth=None, cursor=None, limit=5)
        above: Any = reader.reached(run(1), UP, as_of=at, depth=None, cursor=None, limit=5)["items"]
        walked: Any = reader.lineage(run(1), UP, as_of=at)["nodes"]
        assert [each["review_path"] for each in page["items"]] == [walked[0]["review_path"]]
        assert walked[1]["quarantined"] == (above[0]["stage"] == QUARANTINED) == (above[0]["stopped"] == QUARANTINED)
        return [page["time"], above[0]["stage"], page["items"][0]["review_path"], page["items"][0]["review_cause"]]

    held, free = [QUARANTINED, [run(1), run(0)], QUARANTINED], ["approved", [], None]
    assert seen(2) == [LAPSE - 60_000, None, [], None]
    assert [seen(at) for at in (3, 4)] == [[LAPSE - 60_000, *held], [LAPSE - 1, *held]]
    assert [seen(at) for at in (5, 6)] == [[LAPSE, *free], [LAPSE, *free]]
    assert seen(None) == [LAPSE - 1, *held]
    first: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=None, limit=1)
    now = LAPSE
    assert seen(None) == [LAPSE, *free]
    assert first["next"] is None


def test_the_pages_of_a_list_are_as_of_one_time(model: ReadModelStore) -> None:
    chain(model, 4)
    append(model, [stage(run(0), QUARANTINED, lapses_at=LAPSE, quarantined_from="draft")])
    now = LAPSE - 1
    reader = LineageReader(model, LineageGraph(model), lambda: now / 1_000)
    first: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=None, limit=1)
    now = LAPSE + 1
    second: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=first["next"], limit=9)
    assert [each["review_cause"] for each in (*first["items"], *second["items"])] == [QUARANTINED] * 3
    again: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=None, limit=9)
    assert [each["review_cause"] for each in again["items"]] == [None] * 3
    asked = {"of": run(0), "direction": DOWN, "depth": ""}
    for place in ("5.2", "5.1.x", "5.1.2.3", f"5.{10**15}.1"):
        with pytest.raises(InvalidParameter, match="cursor"):
            reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=closed(place, "lineage", asked), limit=9)


def test_what_descends_from_a_withdrawn_selection_needs_review(model: ReadModelStore) -> None:
    selected = Ref("selection:d:1:train")
    append(model, [node(0), node(1), edge(selected, run(0), "input:train"), edge(run(0), run(1))])
    append(model, [("\x00selection\x00", {"kind": "selection", "dataset": "d", "number": 1, "selection": "train"})])
    append(model, [mark(selected)])
    reader = LineageReader(model, LineageGraph(model), clock)
    for at, marked in ((2, False), (3, True), (None, True)):
        page: Any = reader.reached(selected, DOWN, as_of=at, depth=None, cursor=None, limit=9)["items"]
        walked: Any = reader.lineage(selected, DOWN, as_of=at)["nodes"]
        assert [each.get("withdrawn", False) for each in walked] == [marked, False, False]
        paths = [[run(0), selected], [run(1), run(0), selected]] if marked else [[], []]
        assert [each["review_path"] for each in page] == [each["review_path"] for each in walked[1:]] == paths
        assert {each["review_cause"] for each in page} == {"withdrawn" if marked else None}
        above: Any = reader.reached(run(1), UP, as_of=at, depth=None, cursor=None, limit=9)["items"][-1]
        assert (above["reference"], above["stopped"]) == (selected, "withdrawn" if marked else None)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Stage.DRAFT, Stage.APPROVED, Stage.QUARANTINED]),
    st.none() | st.sampled_from([Stage.DRAFT, Stage.DEPLOYED]),
    st.none() | st.integers(0, 5),
    st.integers(0, 6),
)
def test_a_stage_is_at_every_time_what_the_law_says(
    named: Stage, before: Stage | None, lapses: int | None, at: int
) -> None:
    record = ArtifactStage(
        artifact=Ref("model-version:net:1"),
        owner=OrgId("LabMSP"),
        digest=Digest(bytes(32)),
        stage=named,
        since=Instant(0),
        round=Count(1),
        quarantined_from=before,
        quarantined_by=None if before is None else OrgId("HospitalMSP"),
        lapses_at=None if lapses is None else Instant(lapses),
    )
    assert Standing.read(codec.to_plain(record), 7).at(at) == standing_at(record, Instant(at)).stage


def test_a_height_that_is_not_reached_is_refused_and_what_was_not_there_is_not_found(model: ReadModelStore) -> None:
    chain(model, 3)
    append(model, [node(9)])
    reader = LineageReader(model, LineageGraph(model), clock)
    with pytest.raises(InvalidParameter, match="as_of: it must be at most 4"):
        reader.reached(run(0), DOWN, as_of=5, depth=None, cursor=None, limit=5)
    with pytest.raises(RecordNotFound):
        reader.reached(run(9), DOWN, as_of=3, depth=None, cursor=None, limit=5)


def test_a_cursor_keeps_the_height_while_the_ledger_grows(model: ReadModelStore) -> None:
    chain(model, 4)
    reader = LineageReader(model, LineageGraph(model), clock)
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
    reader = LineageReader(model, LineageGraph(model), clock)
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
    answer = graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=0, limit=10)
    assert (answer.count, answer.depth, len(answer.items)) == (layers * wide + 1, layers + 1, 10)
    last = graph.walk(run(0), down=True, as_of=None, instant=NOW, depth=None, start=answer.count - 1, limit=10).items
    assert [len(each.review_path) for each in last] == [layers + 2]


class Diamond:
    """A read model whose links are complete layers between two ends: five of 500 runs, and a million edges."""

    WIDE, LAYERS = 500, 5

    def __init__(self, model: ReadModelStore) -> None:
        self._model = model
        self.edges = (self.LAYERS - 1) * self.WIDE**2 + 2 * self.WIDE
        self.most = 0
        self.names = [run(number) for number in range(2 + self.LAYERS * self.WIDE)]

    def links(self, place: int, block: int, limit: int) -> Links:
        found = [self._link(each) for each in range(place + 1, min(place + limit, self.edges) + 1)]
        self.most = max(self.most, len(found))
        return Links(self._model.height(), self.edges, found, place + limit < self.edges, ())

    def _link(self, place: int) -> Link:
        """The edges from the upper end, those between the layers, one layer after the other, and those to the lower."""
        number, wide = place - 1, self.WIDE
        layer, rest = divmod(number - wide, wide**2)
        above, below = divmod(rest, wide)
        if layer < 0:
            above, below = 0, 1 + number
        elif layer == self.LAYERS - 1:
            above, below = 1 + layer * wide + rest, len(self.names) - 1
        else:
            above, below = 1 + layer * wide + above, 1 + (layer + 1) * wide + below
        return Link(self.names[above], self.names[below], "merged", 0, place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def test_a_diamond_with_a_million_edges_is_read_in_pieces_and_listed_page_by_page(model: ReadModelStore) -> None:
    append(model, [node(0)])
    diamond: Any = Diamond(model)
    assert diamond.edges == 1_001_000
    graph = LineageGraph(diamond, wait=100, piece=10_000)
    reader = LineageReader(diamond, graph, clock)
    found: list[str] = []
    cursor: Any = None
    while True:
        page: Any = reader.reached(run(0), DOWN, as_of=None, depth=None, cursor=cursor, limit=1_000)
        found += [each["reference"] for each in page["items"]]
        assert (page["count"], page["depth"], page["left"]) == (2_501, 6, 2_501 - len(found))
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [run(number) for number in range(1, 2_502)]
    assert (graph.size, diamond.most) == ((2_502, 1_001_000), 10_000)
