# SPDX-License-Identifier: Apache-2.0
"""The gateway's lineage over the read model: successive versions are part of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaincode.domain import codec
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import Edge
from chaincode.domain.values import Ref, Text, run_ref
from gateway.services.lineage import LineageReader
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite
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
        records: dict[str, dict[str, Any]] = {
            "dataset": {"dataset": "d"},
            "one": {"dataset": "d", "number": 1, "change": "first", "kind": "dataset-version"},
            "two": {"dataset": "d", "number": 2, "change": change, "kind": "dataset-version"},
            "training-run": {"run": "r"},
            "artifact-stage": {"artifact": FIRST, "stage": "quarantined"},
        }
        writes = [LedgerWrite(name, {"kind": name, **value}) for name, value in records.items()]
        writes += [LedgerWrite(key_of(edge), codec.to_plain(edge)) for edge in edges]
        transaction = LedgerTransaction("ab" * 32, 0, 0, "HospitalMSP", "2026-01-01T00:00:00Z", None, tuple(writes))
        model = ReadModelStore(database)
        model.apply(LedgerBlock(0, "00", "", (transaction,)))
        return LineageReader(model, LineageGraph(model))

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
