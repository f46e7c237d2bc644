# SPDX-License-Identifier: Apache-2.0
"""A grantee fetches a selection from an owner that may seal anything: its own records alone become a file."""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from samplebundle import Sample, sample

from gateway.sealing import release
from gateway.sealing.blobs import BLOB_ID, Header, derived_key
from gateway.sealing.streams import seal
from gateway.services.ports import Reading
from pedigree import Disagreement, InvalidInput, Pedigree, verify_copy
from pedigree.tables import CSV

ROWS = [(f"p{number}", b"p%d,%d" % (number, number)) for number in range(10)]
MADE = sample(ROWS, Reading(CSV, "id", ",", ("id", "age")), selected={"training": range(4), "test": range(4, 8)})
SELECTION = "selection:wdbc:3:training"
ATTEMPT = "a1" * 32
PATH = "/v1/datasets/wdbc/versions/3"


def csv(rows: list[tuple[str, bytes]]) -> bytes:
    return b"\n".join([b"id,age", *(content for _, content in rows)])


class Owner:
    """Seals what it likes, for the key that the grantee's gateway was asked to sign for."""

    def __init__(self, made: Sample, content: bytes, bundle: bytes) -> None:
        self.made, self.content, self.bundle = made, content, bundle
        self.root = made.selections["training"]["record"]["root"]
        self.data_key, self.recipient = os.urandom(32), b""
        header = Header.new(self.data_key, size=len(content))
        self.blob = header.blob_id
        self.sealed = b"".join(seal(self.data_key, header, [content]))

    def own(self, request: httpx.Request) -> httpx.Response:
        """The grantee's own gateway."""
        attempt = {"attempt": ATTEMPT, "grant": "g", "artifact": SELECTION, "decision": "allowed", "owner": "LabMSP"}
        path, selections = request.url.path, self.made.selections
        if path.endswith("/statement"):
            self.recipient = base64.b64decode(request.url.params["recipient_key"])
        answers: dict[str, Any] = {
            "/v1/access-grants/g": {"record": {"artifact": SELECTION, "purpose": "p"}},
            "/v1/access-attempts": {"record": attempt, "event": {}, "transaction": {"id": ATTEMPT, "block": 3}},
            f"/v1/access-attempts/{ATTEMPT}/statement": {"payload": "x"},
            PATH: self.made.version,
            **{f"{PATH}/selections/{name}": each for name, each in selections.items()},
        }
        return httpx.Response(200, json=answers[path])

    def theirs(self, request: httpx.Request) -> httpx.Response:
        """The owner's gateway."""
        if request.method == "POST":
            purpose = release.Purpose("main", "g", ATTEMPT, self.root, self.blob)
            key = release.release(self.data_key, release.parse_public_key(self.recipient), purpose)
            said = {
                "delivery": "t" * 43, "attempt": ATTEMPT, "grant": "g", "artifact": SELECTION, "channel": "main",
                "root": self.root, "media_type": CSV, "size": len(self.content), "blob": self.blob.hex(),
                "digest": hashlib.sha256(self.content).hexdigest(), "sealed_size": len(self.sealed),
                "key": base64.b64encode(key).decode(),
            }  # fmt: skip
            return httpx.Response(200, json=said)
        if not request.url.path.endswith("/bundle"):
            return httpx.Response(200, content=self.sealed)
        blob_id = os.urandom(BLOB_ID)
        key = derived_key(self.data_key, blob_id)
        return httpx.Response(200, content=b"".join(seal(key, Header.new(key, blob_id=blob_id), [self.bundle])))


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Any]:
    def run(content: bytes, bundle: bytes, keep: Path | None = None) -> Any:
        owner = Owner(MADE, content, bundle)
        with Pedigree("http://own", "id.secret", transport=httpx.MockTransport(owner.own)) as lab:
            there = httpx.MockTransport(owner.theirs)
            return lab.fetch("g", "http://owner", tmp_path / "copy.csv", bundle=keep, transport=there, patience=1.0)

    return run


def test_the_records_of_a_selection_and_what_checks_them_are_kept(fetch: Callable[..., Any], tmp_path: Path) -> None:
    bundle = tmp_path / "copy.bundle"
    found = fetch(csv(ROWS[:4]), MADE.parts["training"], bundle)
    assert (found.artifact, found.root) == (SELECTION, MADE.selections["training"]["record"]["root"])
    assert (tmp_path / "copy.csv").read_bytes() == csv(ROWS[:4])
    assert bundle.read_bytes() == MADE.parts["training"]
    assert bundle.stat().st_mode & 0o777 == 0o600
    answers: Any = {"version": MADE.version, "selection": MADE.selections["training"]}
    assert verify_copy(tmp_path / "copy.csv", bundle, **answers)["verified"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.bundle", "copy.csv"]


@pytest.mark.parametrize(
    ("rows", "bundle", "said"),
    [
        (ROWS[:4], MADE.content, "it is of dataset-version:wdbc:3"),
        (ROWS[4:8], MADE.parts["test"], "it is of selection:wdbc:3:test"),
        (ROWS[:5], MADE.parts["training"], "differs from what the ledger names"),
        (ROWS, MADE.parts["training"], "differs from what the ledger names"),
        (ROWS[:3], MADE.parts["training"], "differs from what the ledger names"),
        ([*ROWS[:3], ("p3", b"p3,4")], MADE.parts["training"], "differs from what the ledger names"),
        (ROWS[:4], MADE.parts["training"].replace(b"p3", b"q3"), "is damaged"),
    ],
    ids=["the-version's", "another's", "one-more", "all", "one-less", "changed", "damaged"],
)
def test_anything_else_becomes_no_file(
    fetch: Callable[..., Any], tmp_path: Path, rows: list[tuple[str, bytes]], bundle: bytes, said: str
) -> None:
    (kept := tmp_path / "copy.bundle").write_bytes(b"before")
    with pytest.raises(Disagreement) as refused:
        fetch(csv(rows), bundle, kept)
    assert said in str(refused.value)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("copy.bundle", b"before")]


def test_the_bundle_has_a_name_of_its_own(fetch: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name another one for the bundle"):
        fetch(csv(ROWS[:4]), MADE.parts["training"], tmp_path / "copy.csv")
    assert list(tmp_path.iterdir()) == []
