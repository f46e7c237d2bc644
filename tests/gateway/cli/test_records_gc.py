# SPDX-License-Identifier: Apache-2.0
"""`pedigree records gc`: it lists what nothing stands on, and deletes that and nothing else, when it is told to."""

import json
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.records import open_at_rest
from gateway.services.ports import (
    Category,
    Ending,
    Failed,
    LedgerBlock,
    LedgerTransaction,
    LedgerWrite,
    Reading,
    RecordColumns,
    Recorded,
    StoredRecord,
    Submission,
)
from gateway.services.trees import NotHeld
from gateway.stores.records import RecordStore

NAMED, REFUSED, RECORDED, PENDING, LATER, UNKNOWN = (f"{number:064x}" for number in range(6))


def submission(root: str, ending: Ending | None) -> Submission:
    return Submission(
        id=root[-32:], client="c", key=root, request_hash="", function="dataset:commit-version",
        command=json.dumps({"root": root}), state="accepted", attempt=1, created=0.0, ending=ending,
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with ExitStack() as guard:
        records, readmodel, submissions = open_at_rest(tmp_path, guard)
        for root in (NAMED, REFUSED, RECORDED, PENDING, LATER, UNKNOWN, ""):
            key = records.begin("wdbc", Reading("application/jsonl"))
            records.add(key, 0, RecordColumns.of([StoredRecord("1", b"s" * 16, b"{}", 0, 0, b"l" * 32)]))
            if root:
                records.finish(key, root, 1)
        write = LedgerWrite("v", {"kind": "dataset-version", "dataset": "wdbc", "number": 1, "root": NAMED})
        transaction = LedgerTransaction("t", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", {}, (write,))
        readmodel.apply(LedgerBlock(0, "00", "", (transaction,)))
        for root, ending in (
            (REFUSED, Failed(Category.FORBIDDEN, "not-the-owner", "", retryable=False, facts={})),
            (RECORDED, Recorded({}, 1)),
            (PENDING, None),
            (LATER, Failed(Category.UNAVAILABLE, "peer-unavailable", "", retryable=True, facts={})),
        ):
            submissions.save(submission(root, ending))
    return tmp_path


def collect(data: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["records", "gc", "--data", str(data), *options])


def kept(data: Path) -> list[str]:
    with ExitStack() as guard:
        records: RecordStore = open_at_rest(data, guard)[0]
        return [found.root for found in records.sets() if not found.root or list(records.all(found.root))]


def rows(result: Result) -> list[Any]:
    found: list[Any] = json.loads(result.stdout)
    return [(row["root"], row["deleted"]) for row in found]


def test_it_says_first_what_it_would_delete(data: Path) -> None:
    before = kept(data)
    assert rows(collect(data, "--older-than", "0", "--json")) == [
        (REFUSED[:16], False), (UNKNOWN[:16], False), ("", False),
    ]  # fmt: skip
    assert "3 can be deleted, with --delete" in collect(data, "--older-than", "0").stdout
    assert kept(data) == before


def test_it_deletes_that_and_nothing_else(data: Path) -> None:
    assert rows(collect(data, "--older-than", "0", "--delete", "--json")) == [
        (REFUSED[:16], True), (UNKNOWN[:16], True), ("", True),
    ]  # fmt: skip
    assert kept(data) == [NAMED, RECORDED, PENDING, LATER]
    assert collect(data, "--older-than", "0").stdout == "every set of records is needed\n"


def test_what_was_begun_lately_stays(data: Path) -> None:
    assert rows(collect(data, "--delete", "--json")) == []
    assert len(kept(data)) == 7


def test_it_needs_to_know_what_is_needed_and_to_be_alone(data: Path) -> None:
    with ExitStack() as guard:
        open_at_rest(data, guard)
        assert "stop it first" in collect(data).stderr
    with closing(sqlite3.connect(data / "readmodel.db")) as connection:
        connection.execute("UPDATE position SET height = 0, hash = NULL")
        connection.commit()
    assert "holds no block" in collect(data).stderr
    (data / "submissions.db").unlink()
    refused = collect(data)
    assert refused.exit_code != 0
    assert "has no submissions.db" in refused.stderr


def erase(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["records", "erase", *words, "--data", str(data), "--json"])


def test_the_keys_of_a_data_set_are_destroyed_once_that_is_said(data: Path) -> None:
    for words, erased in ((["wdbc"], False), (["wdbc", "--yes"], True), (["wdbc", "--yes"], True)):
        before = erase(data, *words)
        assert before.exit_code == 0, before.output
        answer = json.loads(before.stdout)
        keys = 0 if words == ["wdbc", "--yes"] and erased and answer["keys of records"] == 0 else 1
        assert answer == {"dataset": "wdbc", "keys of records": keys, "keys of blobs": 0, "erased": erased}
    with ExitStack() as guard:
        records: RecordStore = open_at_rest(data, guard)[0]
        assert [found.root for found in records.sets() if found.root], "what is left of it is there, and does not open"
        with pytest.raises(NotHeld, match="was destroyed: they are erased"):
            list(records.all(NAMED))
        refused = erase(data, "wdbc", "--yes")
        assert refused.exit_code != 0
        assert "stop it first" in refused.stderr
    assert erase(data / "nowhere", "wdbc").exit_code != 0
