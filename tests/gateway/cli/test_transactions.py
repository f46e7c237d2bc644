# SPDX-License-Identifier: Apache-2.0
"""`pedigree transactions`, `history` and `log`: what they ask, print and write to files."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from pedigree.exports import COLUMNS, exported

ESCAPE = "\x1b[2J"


def listed(number: int = 1, **said: Any) -> Any:
    return {
        "id": f"{number:064x}", "block": number, "number": 0, "at": "2026-01-01T00:00:00.5Z", "organisation": "LabMSP",
        "identity": {"subject": "CN=lab", "certificate": "ce" * 32}, "client": {"id": "ab" * 16, "name": "nightly"},
        "chaincode": "pedigree", "function": "model:register", "about": ["model:net", "model-version:net:1"],
        "endorsed_by": ["HospitalMSP", "LabMSP"], "valid": True, "validation_code": 0, "validity": "VALID",
        "event": "ModelRegistered", **said,
    }  # fmt: skip


class Client:
    """Lists what it is given, and remembers what was asked."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.asked: list[tuple[Any, ...]] = []
        self.taken = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def transactions(self, **said: Any) -> Any:
        self.asked.append(("transactions", said))
        return {"items": self.items, "next": None, "count": len(self.items), "count_exact": True}

    def history(self, reference: str, **said: Any) -> Any:
        self.asked.append(("history", reference, said))
        return {"items": self.items, "next": None, "count": len(self.items), "count_exact": True}

    def iterate_transactions(self, **said: Any) -> Iterator[Any]:
        self.asked.append(("iterate_transactions", said))
        for each in self.items:
            self.taken += 1
            yield each


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    import pedigree

    made = Client([listed(1), listed(2, client=None, function=ESCAPE, about=[], validity="MVCC_READ_CONFLICT")])
    monkeypatch.setattr(pedigree, "Pedigree", lambda *_args, **_more: made)
    return made


def run(*arguments: str) -> Result:
    printed = CliRunner().invoke(main, [*arguments, "--url", "http://127.0.0.1:1", "--key", "id.secret"])
    assert printed.exit_code == 0, printed.output
    return printed


@pytest.mark.parametrize("verb", [("transactions",), ("log",), ("log", "list")])
def test_the_log_without_a_verb_is_the_list_of_transactions(client: Client, verb: tuple[str, ...]) -> None:
    printed = run(*verb, "--organisation", "LabMSP", "--validity", "INVALID", "--order", "newest", "--from-height", "7")
    asked = {"organisation": "LabMSP", "validity": "INVALID", "order": "newest", "from_height": 7}
    assert client.asked == [("transactions", {**asked, "cursor": None, "limit": 100})]
    for shown in ("model:net and 1 more", "nightly", "MVCC_READ_CONFLICT", "2026-01-01 00:00:00"):
        assert shown in printed.output
    assert "\x1b" not in printed.output


def test_the_verbs_of_the_log_stay() -> None:
    for verb in ("show", "checkpoint", "policy"):
        printed = CliRunner().invoke(main, ["log", verb, "--help"])
        assert printed.exit_code == 0
        assert f"log {verb}" in printed.output
    helped = CliRunner().invoke(main, ["log", "--help"])
    assert helped.exit_code == 0
    assert "checkpoint" in helped.output


def test_a_history_is_of_one_record(client: Client) -> None:
    run("history", "model:net")
    assert client.asked == [("history", "model:net", {"cursor": None, "limit": 100})]


def test_an_export_is_written_as_it_is_read(client: Client, tmp_path: Path) -> None:
    target = tmp_path / "all.csv"
    printed = run("transactions", "--client", "nightly", "--export", "csv", "-o", str(target), "--json")
    assert json.loads(printed.output) == {"file": str(target), "transactions": 2}
    assert client.asked == [("iterate_transactions", {"client": "nightly"})]
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"), newline="")))
    assert [row["id"] for row in rows] == [f"{number:064x}" for number in (1, 2)]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["client_name"], rows[0]["about"]) == ("nightly", "model:net model-version:net:1")
    lines = run("transactions", "--export", "jsonl").output.splitlines()
    assert [json.loads(line) for line in lines] == client.items
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_takes_one_transaction_at_a_time(form: str) -> None:
    client = Client([listed(number) for number in range(100)])
    lines = exported(client.iterate_transactions(), form)
    for _ in range(10):
        next(lines)
    assert client.taken <= 10


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    written = "".join(exported([listed(function=text, organisation=text, event=text)], "csv"))
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (row["function"], row["organisation"], row["event"]) == (f"'{text}",) * 3
    assert row["block"] == "1"


def test_a_format_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="csv, jsonl"):
        exported([], "xlsx")
