# SPDX-License-Identifier: Apache-2.0
"""`pedigree audit`: what it asks, prints and writes, and how it ends when a log is checked."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chaincode.domain import canonical, merkle
from gateway.cli import main
from gateway.cli.exits import Exit
from pedigree.exports import AUDIT_COLUMNS

ESCAPE = "\x1b[2J"


def entry(number: int, **said: Any) -> Any:
    return {
        "number": number, "at": "2026-01-01T00:00:00.500Z", "since": None, "count": 1,
        "client": {"id": "ab" * 16, "name": "nightly"}, "operation": "registerModel", "target": "model:net",
        "outcome": "refused", "code": "role-too-low", "request": "0b5f", **said,
    }  # fmt: skip


CONTENT = [canonical.encode({"number": number, "organisation": "LabMSP", "count": 1}) for number in (1,)]
CONTENT.append(
    canonical.encode(
        {"number": 2, "organisation": "LabMSP", "count": 1, "previous": merkle.leaf_hash(CONTENT[0]).hex()}
    )
)
TREE = merkle.Tree(b"".join(map(merkle.leaf_hash, CONTENT)))
ANCHOR = {"owner": "LabMSP", "log": TREE.leaf(0).hex(), "number": 1, "size": 2, "root": TREE.root().hex()}


class Client:
    """A gateway's client with a log of two entries and one anchor."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.items = [entry(2, client=None, code="unauthenticated", operation=ESCAPE), entry(1)]
        self.content = list(CONTENT)
        self.path = [each.hex() for each in TREE.inclusion(1)]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def audit_entries(self, **said: Any) -> Any:
        self.asked.append(said)
        return {"items": self.items, "next": None, "size": 2, "anchored": 2}

    def iterate_audit_entries(self, **said: Any) -> Iterator[Any]:
        self.asked.append(said)
        yield from self.items

    def audit_entry(self, said: str) -> Any:
        number = int(said)
        anchor = {"number": 1, "size": 2, "root": TREE.root().hex(), "transaction": "5f" * 32}
        content = self.content[number - 1]
        return {
            "entry": entry(number), "content": content.decode(), "hash": merkle.leaf_hash(content).hex(),
            "anchor": anchor, "path": self.path,
        }  # fmt: skip

    def save_audit_log(self, path: Path) -> Path:
        path.write_bytes(b"".join(line + b"\n" for line in self.content))
        return path

    def iterate_audit_anchors(self) -> Iterator[Any]:
        yield {"record": ANCHOR}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    import pedigree

    made = Client()
    monkeypatch.setattr(pedigree, "Pedigree", lambda *_args, **_more: made)
    return made


def run(*arguments: str, code: int = 0) -> Result:
    printed = CliRunner().invoke(main, ["audit", *arguments, "--url", "http://127.0.0.1:1", "--key", "id.secret"])
    assert printed.exit_code == code, printed.output
    return printed


def test_a_list_is_asked_with_its_filters(client: Client) -> None:
    printed = run("list", "--client", "none", "--code", "unauthenticated", "--since", "2026-01-01")
    filters = {"client": "none", "code": "unauthenticated", "since": "2026-01-01"}
    assert client.asked == [{**filters, "cursor": None, "limit": 100}]
    for shown in ("nightly", "role-too-low", "model:net", "2026-01-01 00:00:00"):
        assert shown in printed.output
    assert "\x1b" not in printed.output


def test_a_list_is_written_to_a_file(client: Client, tmp_path: Path) -> None:
    target = tmp_path / "refused.csv"
    printed = run("list", "--export", "csv", "-o", str(target), "--json")
    assert json.loads(printed.output) == {"file": str(target), "entries": 2}
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"), newline="")))
    assert tuple(rows[0]) == AUDIT_COLUMNS
    assert (rows[1]["client_name"], rows[1]["code"], rows[0]["client"]) == ("nightly", "role-too-low", "")
    assert [json.loads(line) for line in run("list", "--export", "jsonl").output.splitlines()] == client.items


def test_an_entry_is_shown_when_its_proof_holds(client: Client) -> None:
    assert "1, by transaction 5f5f" in run("show", "2").output
    client.path = ["00" * 32]
    assert "is not in the log" in run("show", "2", code=Exit.DISAGREES).output


def test_a_log_is_fetched_or_read_and_checked(client: Client, tmp_path: Path) -> None:
    assert "Verified: 2 entries" in run("verify").output
    target = tmp_path / "audit.jsonl"
    run("export", "-o", str(target))
    assert json.loads(run("verify", "--file", str(target), "--json").output)["anchored"] == 2
    target.write_bytes(target.read_bytes().replace(b'"number":1', b'"extra":1,"number":1'))
    assert "entry 1 was altered" in run("verify", "--file", str(target), code=Exit.DISAGREES).output


def test_a_log_without_an_anchor_is_unproven(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "iterate_audit_anchors", lambda: iter(()))
    assert "Nothing is proven yet" in run("verify", code=Exit.UNPROVEN).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--genesis", "ab" * 32], "are for the evidence of an --anchor"),
        (["--anchor", sys.executable], "of use with the --file"),
        (["--anchor", sys.executable, "--file", sys.executable], "give one of them"),
    ],
)
def test_what_cannot_be_combined_is_said(client: Client, arguments: list[str], said: str) -> None:
    assert said in run("verify", *arguments, code=Exit.USAGE).output
