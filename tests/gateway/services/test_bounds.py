# SPDX-License-Identifier: Apache-2.0
"""Questions about large ledgers: what they read depends on what was asked for, and not on what there is."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from recordkeys import written

from chaincode.domain.values import Ref
from gateway.services.artifacts import MOST_COUNTED, MOST_EXAMINED, Artifacts, Speaker
from gateway.services.catalogue import Catalogue
from gateway.services.lineage import LineageReader
from gateway.services.ports import (
    Entry,
    Json,
    LedgerBlock,
    LedgerTransaction,
    Page,
    ReadModel,
    Signature,
    Where,
)
from gateway.stores.database import Database
from gateway.stores.lineagegraph import LineageGraph
from gateway.stores.readmodel import ReadModelStore

DATA = Ref("dataset-version:d:1")
DIGEST = "ab" * 32
POLICY: Json = {
    "kind": "policy", "schema": 1, "number": 1, "set_at": 1, "amendment_threshold": 2, "amendment_roles": [],
    "members": [
        {"organisation": "HospitalMSP", "roles": ["supplier"]},
        {"organisation": "LabMSP", "roles": ["trainer"]},
        {"organisation": "RegulatorMSP", "roles": ["auditor"]},
    ],
    "rules": [{"artifact_kind": "model-version", "threshold": 2, "stage": "approved"}],
}  # fmt: skip


class Counting:
    """The read model; counts the entries that it hands out and the questions that it is asked."""

    def __init__(self, model: ReadModelStore) -> None:
        self.model = model
        self.read = self.asked = 0

    def list(self, kind: str, *, where: Where, after: str | None, limit: int) -> Page:
        page = self.model.list(kind, where=where, after=after, limit=limit)
        self.read += len(page.items)
        self.asked += 1
        return page

    def last(self, kind: str, *, where: Where) -> Entry | None:
        self.asked += 1
        return self.model.last(kind, where=where)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class NoSigner:
    """Signs nothing: nobody endorses here."""

    def sign(self, message: bytes) -> Signature:
        raise AssertionError(message)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Callable[..., Counting]]:
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)

    def fill(*records: Json) -> Counting:
        model = ReadModelStore(database)
        writes = tuple(map(written, records))
        transaction = LedgerTransaction("ab" * 32, 0, 0, "HospitalMSP", "2026-01-01T00:00:00Z", None, writes)
        model.apply(LedgerBlock(0, "00", "", (transaction,)))
        return Counting(model)

    yield fill
    database.close()


def reader_of(model: Counting) -> LineageReader:
    readmodel = _as_readmodel(model)
    return LineageReader(readmodel, LineageGraph(readmodel), time.time)


def version(number: int = 1) -> Json:
    return {"kind": "dataset-version", "schema": 1, "dataset": "d", "number": number, "change": "first"}


def edge(parent: str, child: str) -> Json:
    return {"kind": "edge", "schema": 1, "parent": parent, "child": child, "relation": "input:train"}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_walk_reads_what_its_limit_allows(filled: Callable[..., Counting], direction: str) -> None:
    ends = [(DATA, f"run:r{number}") for number in range(3_000)]
    edges = [edge(*(pair if direction == "down" else reversed(pair))) for pair in ends]
    model = filled(version(), {"kind": "dataset", "dataset": "d"}, *edges)
    reader = reader_of(model)
    for limit, read in ((1, 500), (20, 700)):
        model.read = 0
        answer = reader.lineage(DATA, direction, limit)
        assert len(answer["nodes"]) == limit  # type: ignore[arg-type]
        assert answer["complete"] is False
        assert model.read < read
    assert len(reader.lineage(DATA, direction, 4_000)["nodes"]) >= 3_000  # type: ignore[arg-type]


def test_the_versions_of_a_data_set_are_read_as_far_as_the_walk_goes(filled: Callable[..., Counting]) -> None:
    model = filled({"kind": "dataset", "dataset": "d"}, *(version(number) for number in range(1, 3_001)))
    answer = reader_of(model).lineage("dataset:d", "down", 3)
    assert len(answer["nodes"]) == 3  # type: ignore[arg-type]
    assert model.read < 500


def test_the_edges_of_an_artifact_come_in_pages(filled: Callable[..., Counting]) -> None:
    model = filled(version(), *(edge(DATA, f"run:r{number}") for number in range(25)))
    reader = reader_of(model)
    children: list[str] = []
    cursor: str | None = None
    for size in (10, 10, 5):
        page: Json = reader.edges(DATA, "down", cursor=cursor, limit=10)
        assert len(page["items"]) == size
        children += [item["record"]["child"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert children == [f"run:r{number}" for number in range(25)]


def _open(number: int) -> list[Json]:
    name = f"m{number}"
    model = {"kind": "model-version", "model": name, "number": 1, "owner": "LabMSP", "digest": DIGEST}
    stage = "submitted" if number % 3 else "endorsed"
    standing = {"kind": "artifact-stage", "artifact": f"model-version:{name}:1", "owner": "LabMSP", "digest": DIGEST,
                "stage": stage, "since": 10_000 - number, "round": 1}  # fmt: skip
    return [{"schema": 1, **model}, {"schema": 1, **standing}]


def _inbox(model: Counting, organisation: str = "RegulatorMSP") -> Artifacts:
    catalogue = Catalogue(_as_readmodel(model))
    speaker = Speaker(organisation, "pedigree", "00" * 32)
    return Artifacts(None, catalogue, NoSigner(), speaker, time.time)  # type: ignore[arg-type]


def test_the_inbox_comes_in_pages_and_each_reads_its_own_part(filled: Callable[..., Counting]) -> None:
    size = 130
    model = filled(POLICY, *(record for number in range(size) for record in _open(number)))
    artifacts, found, cursor = _inbox(model), [], None
    for expected in (50, 50, 30):
        model.read = model.asked = 0
        page = artifacts.inbox(cursor=cursor, limit=50)
        assert len(page["items"]) == expected
        # Those of the page, and each once more for what is above it, all of a level together; the rest to count.
        assert model.read <= 2 * 50 + size + 1
        # Of each: its two kinds of words, and what it was made from; to count them all, their words again.
        assert model.asked <= 3 * 50 + 2 * size + 4
        assert (page["count"], page["count_exact"]) == (size, True)
        found += [item["artifact"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert found == [f"model-version:m{number}:1" for number in range(size)]


def test_a_page_of_the_inbox_that_finds_nothing_ends_all_the_same(filled: Callable[..., Counting]) -> None:
    """Of its own artifacts an organisation is asked nothing, however many of them are open."""
    model = filled(POLICY, *(record for number in range(MOST_EXAMINED + 20) for record in _open(number)))
    artifacts = _inbox(model, "LabMSP")
    page = artifacts.inbox(limit=10)
    assert page["items"] == []
    assert page["next"] is not None
    assert model.read <= MOST_EXAMINED + MOST_COUNTED + 1
    assert artifacts.inbox(cursor=page["next"], limit=10) == {
        "organisation": "LabMSP", "items": [], "next": None, "count": 0, "count_exact": False, "claims": [],
        "claims_complete": True,
    }  # fmt: skip


def _as_readmodel(model: Counting) -> ReadModel:
    return model  # type: ignore[return-value]
