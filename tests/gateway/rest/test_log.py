# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP: receipts for people, tiles for monitors, and the protocol of witnesses."""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from logs import Member, block, entry

from chaincode.domain import merkle
from gateway.services.logs import TILE_WIDTH
from gateway.tlog import notes, policy, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.keys import Verifier
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import Upload

ORIGIN = "pedigree/pedigree/LabMSP"


def record(api: Any, name: str) -> str:
    """Record something; the transaction's id."""
    answer = api.post("/v1/models", {"model": name, "title": "T"})
    assert answer.status_code == 201, answer.json
    return str(answer.json["transaction"]["id"])


def signed(api: Any, size: int) -> Checkpoint:
    """The checkpoint, once it covers so many entries."""
    deadline = time.monotonic() + 10
    while True:
        answer = api.get("/v1/log/checkpoint")
        if answer.status_code == 200:
            found = Checkpoint.parse(notes.parse(answer.data).text)
            if found.size >= size:
                return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_receipt_verifies_under_the_policy_that_the_gateway_serves(api: Any) -> None:
    transaction = record(api, "net")
    answer = api.get(f"/v1/transactions/{transaction}/receipt")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    trusted = policy.parse(api.get("/v1/log/policy").data)
    verdict = receipts.verify(answer.data, receipts.TlogProof.parse(answer.data).extra or b"", trusted)
    assert verdict.checkpoint.origin == ORIGIN


def test_before_the_first_transaction_there_is_no_checkpoint(api: Any) -> None:
    answer = api.get("/v1/log/checkpoint")
    assert (answer.status_code, answer.json["code"]) == (404, "nothing-signed")


@pytest.mark.parametrize("transaction", ["ab" * 32, "nonsense"])
def test_there_is_no_receipt_for_what_no_block_holds(api: Any, transaction: str) -> None:
    answer = api.get(f"/v1/transactions/{transaction}/receipt")
    assert (answer.status_code, answer.json["code"]) == (404, "no-such-transaction")


def test_the_log_says_its_keys_and_how_it_stands(api: Any) -> None:
    record(api, "net")
    signed(api, 1)
    found = api.get("/v1/log").json
    assert found["origin"] == ORIGIN
    assert Verifier.parse(found["key"]).name == ORIGIN
    assert [len(Verifier.parse(each).public) for each in found["cosigner_keys"]] == [32, 1312]
    assert (found["entries"], found["checkpoint"]["size"]) == (1, 1)
    assert found["trouble"] is None
    assert found["witnesses"] == found["witnessed"] == found["refused"] == []


def test_tiles_are_the_tree_that_the_checkpoint_signs(api: Any) -> None:
    for number in range(3):
        record(api, f"net-{number}")
    head = signed(api, 3)
    hashes = api.get("/v1/log/tile/0/000.p/3").data
    bundle = api.get("/v1/log/tile/entries/000.p/3").data
    assert merkle.root_of_hashes(hashes) == head.root
    entries = [bundle[at + 2 : at + 66] for at in range(0, len(bundle), 66)]
    assert all(bundle[at : at + 2] == b"\x00\x40" for at in range(0, len(bundle), 66))
    assert b"".join(map(merkle.leaf_hash, entries)) == hashes
    assert api.get("/v1/log/tile/0/000.p/2").data == hashes[:64]
    for missing in ("0/000", "0/000.p/4", "1/000.p/1", "0/001.p/1", "entries/000", "entries/x001/000.p/1"):
        answer = api.get(f"/v1/log/tile/{missing}")
        assert (answer.status_code, answer.json["code"]) == (404, "no-such-tile"), missing
    for wrong in ("0/0", "64/000", "0/000.p/0", "0/000.p/256", "0/000.p/300", "x/000", "00/000", "0/x0/000"):
        answer = api.get(f"/v1/log/tile/{wrong}")
        assert (answer.status_code, answer.json["code"]) == (404, "no-such-path"), wrong
    assert api.get("/v1/log/tile/0/000.p/3", role=None).status_code == 401


def test_complete_tiles_have_256_hashes(tmp_path: Path) -> None:
    from gateway.rest.c2sp import tile_of

    member = Member("LabMSP", tmp_path / "lab")
    member.read(block(0, []), block(1, [entry(number) for number in range(600)]))
    complete = tile_of(member.leaves, "0/001")
    assert len(complete) == TILE_WIDTH * 32
    assert tile_of(member.leaves, "1/000.p/2")[32:] == merkle.root_of_hashes(complete)
    assert len(tile_of(member.leaves, "entries/001")) == TILE_WIDTH * 66
    assert len(tile_of(member.leaves, "entries/002.p/88")) == 88 * 66
    member.close()


# --- The witness ----------------------------------------------------------------------------------------------------


@pytest.fixture
def log(api: Any, tmp_path: Path) -> Any:
    """Another organisation's log over the same ledger, known to this gateway by its policy."""
    member = Member("HospitalMSP", tmp_path / "hospital")
    transaction = record(api, "net")
    head = signed(api, 1)
    member.readmodel.apply(block(0, []))
    leaf = receipts.TlogProof.parse(api.get(f"/v1/transactions/{transaction}/receipt").data).extra
    assert merkle.root([leaf or b""]) == head.root
    known = policy.Policy((policy.Log(member.log.verifier),), {}, (), None)
    (tmp_path / "log-policy").write_bytes(known.format())
    deadline = time.monotonic() + 5
    while not api.get("/v1/log").json["witnessed"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield member
    member.close()


def add_checkpoint(api: Any, content: bytes) -> Any:
    return api.client.post("/v1/log/add-checkpoint", data=content)


def submission(log: Member, head: Checkpoint, old: int) -> bytes:
    text = Checkpoint(log.origin, head.size, head.root).format()
    return Submission(old, (), notes.sign(text, log.log)).format()


def test_a_witness_answers_as_the_protocol_has_it(api: Any, log: Member) -> None:
    head = signed(api, 1)
    first = add_checkpoint(api, submission(log, head, 0))
    assert (first.status_code, first.headers["Content-Type"], first.data) == (409, "text/x.tlog.size", b"1\n")
    answer = add_checkpoint(api, submission(log, head, 1))
    assert answer.status_code == 200
    keys = [Verifier.parse(each) for each in api.get("/v1/log").json["cosigner_keys"]]
    text = Checkpoint(log.origin, head.size, head.root).format()
    lines = notes.parse_signatures(answer.data)
    assert notes.verify(notes.Note(text, lines), {each.key: each for each in keys}).keys() == {
        each.key for each in keys
    }
    assert api.get("/v1/log").json["witnessed"] == [
        {"origin": log.origin, "checkpoint": {"size": 1, "root": head.root.hex()}}
    ]


def test_a_fork_is_refused_and_shown(api: Any, log: Member) -> None:
    head = signed(api, 1)
    add_checkpoint(api, submission(log, head, 0))
    forked = Checkpoint(log.origin, 1, b"\x01" * 32)
    answer = add_checkpoint(api, submission(log, forked, 1))
    assert (answer.status_code, answer.data) == (409, b"1\n")
    refused = api.get("/v1/log").json["refused"]
    assert [each["origin"] for each in refused] == [log.origin]
    assert base64.b64encode(b"\x01" * 32).decode() in refused[0]["checkpoint"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda content: b"", 400, "malformed-submission"),
        (lambda content: content[:-9], 400, "malformed-submission"),
        (lambda content: content + b"x" * 70_000, 413, "body-too-large"),
        (lambda content: content.replace(b"HospitalMSP", b"UnknownMSP"), 404, "unknown-log"),
        (lambda content: content.replace(b"\n1\n", b"\n2\n"), 403, "not-signed-by-log"),
        (lambda content: content.replace(b"old 1", b"old 2"), 400, "malformed-submission"),
        (lambda content: content.replace(b"old 1\n", b"old 1\n" + b"A" * 43 + b"=\n"), 422, "inconsistent-checkpoint"),
    ],
)
def test_a_witness_refuses_with_the_statuses_of_the_protocol(
    api: Any, log: Member, change: Any, status: int, code: str
) -> None:
    answer = add_checkpoint(api, change(submission(log, signed(api, 1), 1)))
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert api.get("/v1/log").json["witnessed"][0]["checkpoint"] in (
        None, {"size": 1, "root": signed(api, 1).root.hex()},
    )  # fmt: skip


def test_a_policy_that_cannot_be_read_is_said_and_the_one_before_holds(api: Any, log: Member, tmp_path: Path) -> None:
    (tmp_path / "log-policy").write_text("quorum nobody\n", encoding="utf-8")
    deadline = time.monotonic() + 5
    while api.get("/v1/log").json["trouble"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = api.get("/v1/log").json
    assert "line 1 of the policy" in found["trouble"]
    assert [each["origin"] for each in found["witnessed"]] == [log.origin]


# --- The mirror -----------------------------------------------------------------------------------------------------


def add_entries(api: Any, content: bytes, **headers: str) -> Any:
    given = {name.replace("_", "-"): said for name, said in headers.items()}
    given["Content-Type"] = "application/octet-stream"
    return api.client.post("/v1/log/add-entries", data=content, headers=given)


def test_a_mirror_answers_as_the_protocol_has_it(api: Any, log: Member) -> None:
    head = signed(api, 1)
    add_checkpoint(api, submission(log, head, 0))
    add_checkpoint(api, submission(log, head, 1))
    offered = add_entries(api, Upload(log.origin, 0, 1).format() + b"packages")
    assert (offered.status_code, offered.data) == (409, b"1\n1\n\n")
    assert offered.headers["Content-Type"] == "text/x.tlog.mirror-info"
    assert offered.headers["Accept-Encoding"] == "gzip"
    content = Upload(log.origin, 1, 1).format()
    answer = add_entries(api, content)
    assert answer.status_code == 200
    assert add_entries(api, gzip.compress(content), Content_Encoding="gzip").data == answer.data
    found = api.get("/v1/log").json
    keys = [Verifier.parse(each) for each in found["mirror_keys"]]
    text = Checkpoint(log.origin, head.size, head.root).format()
    known = {each.key: each for each in keys}
    assert notes.verify(notes.Note(text, notes.parse_signatures(answer.data)), known).keys() == known.keys()
    assert found["mirrored"] == [{"origin": log.origin, "checkpoint": {"size": 1, "root": head.root.hex()}}]


def test_what_is_mirrored_is_served_as_a_log_of_its_own(api: Any, log: Member) -> None:
    prefix = f"/v1/log/mirror/{hashlib.sha256(log.origin.encode()).hexdigest()}"
    for path in ("checkpoint", "tile/0/000.p/1"):
        answer = api.get(f"{prefix}/{path}")
        assert (answer.status_code, answer.json["code"]) == (404, "not-mirrored")
    head = signed(api, 1)
    add_checkpoint(api, submission(log, head, 0))
    add_checkpoint(api, submission(log, head, 1))
    add_entries(api, Upload(log.origin, 1, 1).format())
    record(api, "later")
    signed(api, 2)
    note = notes.parse(api.get(f"{prefix}/checkpoint").data)
    assert Checkpoint.parse(note.text) == Checkpoint(log.origin, 1, head.root)
    assert [each.name for each in note.signatures] == [log.origin, *[f"{ORIGIN}/mirror"] * 2]
    bundle = api.get(f"{prefix}/tile/entries/000.p/1").data
    assert merkle.leaf_hash(bundle[2:]) == head.root == api.get(f"{prefix}/tile/0/000.p/1").data
    assert api.get("/v1/log/tile/0/000.p/2").status_code == 200
    for beyond in ("0/000.p/2", "entries/000.p/2", "1/000.p/1"):
        assert api.get(f"{prefix}/tile/{beyond}").json["code"] == "no-such-tile"
    assert api.get(f"{prefix}/tile/0/0").json["code"] == "no-such-path"
    for path in ("checkpoint", "tile/0/000.p/1"):
        assert api.get(f"{prefix}/{path}", role=None).status_code == 401


@pytest.mark.parametrize(
    ("change", "headers", "status", "code"),
    [
        (lambda content: b"", {}, 400, "malformed-upload"),
        (lambda content: content[:-1], {}, 400, "malformed-upload"),
        (lambda content: content + b"x" * (1 << 20), {}, 413, "body-too-large"),
        (lambda content: content.replace(b"HospitalMSP", b"UnknownMSP!"), {}, 404, "unknown-log"),
        (lambda content: content, {}, 422, "no-pending-checkpoint"),
        (lambda content: content, {"Content_Encoding": "br"}, 415, "unsupported-encoding"),
        (lambda content: content, {"Content_Encoding": "gzip"}, 400, "malformed-upload"),
        (lambda content: gzip.compress(content)[:12], {"Content_Encoding": "gzip"}, 400, "malformed-upload"),
    ],
)
def test_a_mirror_refuses_with_the_statuses_of_the_protocol(
    api: Any, log: Member, change: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = add_entries(api, change(Upload(log.origin, 1, 1).format()), **headers)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert api.get("/v1/log").json["mirrored"] == [{"origin": log.origin, "checkpoint": None}]


def test_what_is_packed_a_thousandfold_is_unpacked_as_far_as_its_header(api: Any, log: Member) -> None:
    content = Upload(log.origin, 1, 1).format() + bytes(16 << 20)
    answer = add_entries(api, gzip.compress(content), Content_Encoding="gzip")
    assert (answer.status_code, answer.json["code"]) == (422, "no-pending-checkpoint")
