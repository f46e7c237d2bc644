# SPDX-License-Identifier: Apache-2.0
"""The gateway's lineage over the read model: successive versions are part of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import recordkeys

from chaincode.domain import codec
from chaincode.domain.lineage import Edge
from chaincode.domain.values import Ref, Text, run_ref
from gateway.services.filters import InvalidParameter
from gateway.services.lineage import DOWN, UP, LineageReader
from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

WHOLE, FIRST, SECOND, RUN = Ref("dataset:d"), Ref("dataset-version:d:1"), Ref("dataset-version:d:2"), run_ref("r")


@pytest.fixture
def succession(tmp_path: Path) -> Iterator[Callable[[str], LineageReader]]:
    """A reader over d:1, which is quarantined, d:2 with this relation to it, and a run over d:2."""
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)

    def make(relation: str) -> LineageReader:
        change = relation.partition("+")[0]
        edges = [Edge(FIRST, SECOND, Text(relation)), Edge(SECOND, RUN, Text("input:train"))]
        records: list[dict[str, Any]] = [
            {"kind": "dataset", "dataset": "d"},
            {"kind": "dataset-version", "dataset": "d", "number": 1, "change": "first"},
            {"kind": "dataset-version", "dataset": "d", "number": 2, "change": change},
            {"kind": "training-run", "run": "r"},
            {"kind": "artifact-stage", "artifact": FIRST, "stage": "quarantined"},
        ]
        writes = [recordkeys.written(each) for each in (*records, *map(codec.to_plain, edges))]
        transaction = LedgerTransaction("ab" * 32, 0, 0, "HospitalMSP", "2026-01-01T00:00:00Z", None, tuple(writes))
        model = ReadModelStore(database)
        model.apply(LedgerBlock(0, "00", "", (transaction,)))
        return LineageReader(model, LineageGraph(model), lambda: 0)

    yield make
    database.close()


def told(answer: dict[str, Any]) -> dict[str, tuple[list[str], str | None]]:
    return {node["reference"]: (node["review_path"], node.get("superseded_by")) for node in answer["nodes"]}


def test_what_extends_a_quarantined_version_requires_review(succession: Callable[[str], LineageReader]) -> None:
    reader = succession("extends")
    expected = {FIRST: ([], None), SECOND: ([SECOND, FIRST], None), RUN: ([RUN, SECOND, FIRST], None)}
    assert told(reader.lineage(FIRST, "down")) == expected
    assert told(reader.lineage(RUN, "up")) == {**expected, WHOLE: ([], None)}


def test_what_replaces_a_quarantined_version_supersedes_it(succession: Callable[[str], LineageReader]) -> None:
    reader = succession("replaces")
    assert told(reader.lineage(FIRST, "down")) == {FIRST: ([], SECOND), SECOND: ([], None)}
    assert told(reader.lineage(RUN, "up")) == {
        FIRST: ([], SECOND), SECOND: ([], None), RUN: ([], None), WHOLE: ([], None),
    }  # fmt: skip


def test_what_was_also_derived_from_the_version_it_replaces_requires_review(
    succession: Callable[[str], LineageReader],
) -> None:
    reader = succession("replaces+filter")
    assert told(reader.lineage(RUN, "up"))[RUN] == ([RUN, SECOND, FIRST], None)


# --- Lists of edges -----------------------------------------------------------------------------------------------

HUB = Ref("model-version:hub:1")
CHILDREN = ("model-version:a:1", "model-version:b:1", "evaluation:e-1", "evaluation:e-2", "run:r-1")
PARENTS = ("run:r-0", "model-version:base:1")
RELATIONS = ("fine-tuned", "merged+adapter", "evaluated", "merged")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LineageReader]:
    """A model version with edges to several kinds, each in a block of its own, a day after the one before."""
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    edges = [Edge(HUB, Ref(child), Text(RELATIONS[place % 4])) for place, child in enumerate(CHILDREN)]
    edges += [Edge(Ref(parent), HUB, Text(RELATIONS[place])) for place, parent in enumerate(PARENTS)]
    hub: dict[str, Any] = {"kind": "model-version", "model": "hub", "number": 1}
    for number, write in enumerate(map(recordkeys.written, (hub, *map(codec.to_plain, edges)))):
        at = f"2026-01-{number + 1:02}T00:00:00Z"
        done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", at, None, (write,))
        model.apply(LedgerBlock(number, f"{number + 1:02x}", f"{number:02x}" if number else "", (done,)))
    yield LineageReader(model, LineageGraph(model), lambda: 0)
    database.close()


def edges_in(reader: LineageReader, direction: str, **filters: str) -> list[str]:
    """The other ends of all pages, each of them of one edge; every page counts the whole list."""
    found: list[str] = []
    cursor, counts = None, set()
    while True:
        page: Any = reader.edges(HUB, direction, cursor=cursor, limit=1, filters=filters)
        found += [item["record"]["child" if direction == DOWN else "parent"] for item in page["items"]]
        counts.add((page["count"], page["count_exact"]))
        cursor = page["next"]
        if cursor is None:
            assert counts == {(len(found), True)}
            return found


@pytest.mark.parametrize(
    ("direction", "filters", "found"),
    [
        (DOWN, {}, CHILDREN),
        (UP, {}, PARENTS),
        (DOWN, {"relation": "merged"}, [CHILDREN[1], CHILDREN[3]]),
        (DOWN, {"relation": "adapter"}, [CHILDREN[1]]),
        (DOWN, {"relation": "extends"}, []),
        (DOWN, {"kind": "evaluation"}, [CHILDREN[2], CHILDREN[3]]),
        (DOWN, {"kind": "model-version"}, [CHILDREN[0], CHILDREN[1]]),
        (UP, {"kind": "model-version"}, [PARENTS[1]]),
        (UP, {"kind": "training-run"}, [PARENTS[0]]),
        (DOWN, {"kind": "training-run", "relation": "fine-tuned"}, [CHILDREN[4]]),
        (DOWN, {"since": "2026-01-03", "before": "2026-01-05"}, [CHILDREN[1], CHILDREN[2]]),
        (DOWN, {"since": "2026-01-03", "kind": "model-version"}, [CHILDREN[1]]),
    ],
)
def test_edges_are_filtered_by_relation_kind_and_time(
    hub: LineageReader, direction: str, filters: dict[str, str], found: list[str]
) -> None:
    assert edges_in(hub, direction, **filters) == list(found)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("kind", "edge", "kind: it must be one of dataset, dataset-version"),
        ("kind", "run", "kind: it must be one of"),
        ("relation", "Merged", "relation: it must be a relation such as 'extends'"),
        ("since", "yesterday", "since: it must be an instant"),
    ],
)
def test_a_filter_of_edges_that_cannot_be_understood_is_named(
    hub: LineageReader, name: str, text: str, reason: str
) -> None:
    with pytest.raises(InvalidParameter, match=reason):
        hub.edges(HUB, DOWN, cursor=None, limit=5, filters={name: text})
    page: Any = hub.edges(HUB, DOWN, cursor=None, limit=1, filters={"relation": "merged"})
    with pytest.raises(InvalidParameter, match="cursor"):
        hub.edges(HUB, DOWN, cursor=page["next"], limit=1, filters={"relation": "adapter"})
