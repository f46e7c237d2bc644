# SPDX-License-Identifier: Apache-2.0
"""Reads without a transaction each: decided by the law's rule, kept, put into lists, and anchored once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dialects import IN_A_FILE, open_store

from chaincode.domain import codec, merkle
from chaincode.domain.access import AccessAction
from chaincode.domain.attempting import AccessAttempt, AccessBatch, AccessDecision
from chaincode.domain.consent import SelectionMark
from chaincode.domain.grants import AccessGrant, GrantStatus, Reason
from chaincode.domain.reads import AccessRead, ReadPart, verify_read
from chaincode.domain.values import Count, Digest, Instant, Iri, Name, Number, OrgId, Ref
from gateway.services import anchoring
from gateway.services.anchoring import Anchoring
from gateway.services.deliveries import Place, Refuted
from gateway.services.deliverylog import Asked
from gateway.services.endings import Failed, Recorded
from gateway.services.failures import Category
from gateway.services.ports import Entry
from gateway.services.readlistings import ReadListings
from gateway.services.reads import MOST_DENIED, SESSION, Reads, until_of
from gateway.services.readstatements import ListClaim, ListStatement, ListStatements
from gateway.services.signing import Signature
from gateway.services.submitter import Answer
from gateway.services.undelivered import (
    AttemptStale,
    ReadDenied,
    ReadingEnded,
    StatementElsewhere,
    StatementInvalid,
    StatementRepeated,
    StatementStale,
)
from gateway.stores.reads import ReadStore

pytestmark = pytest.mark.usefixtures("dialect")

NOW = 1_767_225_600.0
ATTEMPT = Digest(b"\x5f" * 32)
HOSPITAL, LAB = OrgId("HospitalMSP"), OrgId("LabMSP")
VERSION, RESEARCH = Ref("dataset-version:wdbc:1"), Iri("https://w3id.org/dpv#ScientificResearch")
ASKED = Asked(str(ATTEMPT), "LabMSP", "s", "n", NOW)
GRANT = AccessGrant(
    grant=Name("g-1"), owner=HOSPITAL, granted_at=Instant(int(NOW * 1_000)), grantee=LAB, artifact=VERSION,
    purpose=RESEARCH, actions=(AccessAction.DOWNLOAD,), not_before=Instant(int(NOW * 1_000)),
    expires=Instant(int(NOW * 1_000) + 60_000), uses=Count(0), recipient=None, recipient_key=None,
    recipient_key_digest=None, request=None, renews=None, policy=None, emergency=None, status=GrantStatus.ACTIVE,
    changed_at=Instant(int(NOW * 1_000)), reason=None, batched=True,
)  # fmt: skip
MADE = AccessAttempt(
    attempt=ATTEMPT, by=LAB, at=Instant(int(NOW * 1_000)), grant=Name("g-1"), artifact=VERSION,
    action=AccessAction.DOWNLOAD, purpose=RESEARCH, recipient=None, decision=AccessDecision.ALLOWED, reason=None,
    owner=HOSPITAL, recipient_key_digest=None, slot=None,
)  # fmt: skip


def plain(record: Any) -> Any:
    return json.loads(codec.to_json(record))


class Members:
    """The lab's certificate signs with its own name."""

    def check(self, organisation: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        if (organisation, certificate, signature) != ("RegulatorMSP", b"cert", b"sig" + message[-4:]):
            raise Refuted("not issued by a CA of this MSP")


class Signer:
    """Signs as the regulator."""

    def sign(self, message: bytes) -> Signature:
        return Signature(b"sig" + message[-4:], b"cert", "5e" * 32)


class World:
    """An owner's reads over a real store, and a ledger that says what a test says."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.records: dict[tuple[str, ...], Any] = {
            ("access-attempt", str(ATTEMPT)): plain(MADE), ("access-grant", "g-1"): plain(GRANT),
        }  # fmt: skip
        self.sent: list[tuple[str, Any]] = []
        self.ending: Any = None
        self.database = open_store(folder / "sealed.db", "sealed", durable=True)
        self.log = ReadStore(self.database)
        catalogue: Any = self
        place = Place("HospitalMSP", "main")
        self.reads = Reads(catalogue, self.log, lambda: self.now)
        self.listings = ReadListings(catalogue, self.log, Members(), place, lambda: self.now)
        self.anchoring = Anchoring(self.log, catalogue, self.record, "HospitalMSP", every=0.01)

    def find(self, kind: str, **where: str) -> Entry | None:
        value = self.records.get((kind, *map(str, where.values())))
        return None if value is None else Entry("k", kind, value, "t", 1, "")

    def last(self, kind: str, **where: str) -> Any:
        found = [value for (name, *_), value in self.records.items() if name == kind]
        return max(found, key=lambda value: value["number"], default=None)

    def record(self, intent: Any, function: str, body: Any) -> Answer:
        assert function == "access:anchor"
        self.sent.append((intent.key, body))
        if self.ending is None:
            self.write(body)
        return Answer(Recorded({}, 7) if self.ending is None else self.ending, "s")

    def write(self, body: Any) -> None:
        self.records["access-batch", "HospitalMSP", str(body["number"])] = {**body, "owner": "HospitalMSP"}

    def grant(self, **changes: Any) -> None:
        self.records["access-grant", "g-1"] = plain(replace(GRANT, **changes))

    def read(self, start: int = 0, stop: int = 10) -> bool:
        self.now += 0.001
        return self.reads.decide(ASKED, ReadPart.CONTENT, start, stop)

    def kept(self) -> list[Any]:
        return [*reversed(self.listings.own(before=None, grant=None, limit=100)["items"])]

    def sign(self, number: int = 1) -> bytes:
        return json.dumps(ListStatements(Signer(), Place("RegulatorMSP", "main"), lambda: self.now).sign(
            "HospitalMSP", number)).encode()  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


def test_a_read_is_kept_with_its_decision_before_it_is_answered(world: World) -> None:
    assert world.read(5, 15)
    (entry,) = world.kept()
    assert entry["state"] == "waiting"
    assert (entry["read"]["start"], entry["read"]["stop"], entry["read"]["decision"]) == (5, 15, "allowed")
    assert codec.from_json(entry["leaf"].encode()) == AccessRead(
        ATTEMPT, Name("g-1"), LAB, Instant(int(world.now * 1_000)), VERSION, AccessAction.DOWNLOAD, RESEARCH,
        ReadPart.CONTENT, Count(5), Count(15), AccessDecision.ALLOWED, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "later", "reason"),
    [
        ({"status": GrantStatus.REVOKED}, 0, Reason.REVOKED),
        ({"status": GrantStatus.SUSPENDED}, 0, Reason.SUSPENDED),
        ({}, 60, Reason.EXPIRED),
    ],
)
def test_a_denied_read_is_kept_too(world: World, changes: Any, later: float, reason: Reason) -> None:
    world.grant(**changes)
    world.now += later
    with pytest.raises(ReadDenied) as denied:
        world.read()
    assert (denied.value.code, denied.value.facts) == ("read-denied", {"reason": str(reason), "grant": "g-1"})
    assert [(each["read"]["decision"], each["read"]["reason"]) for each in world.kept()] == [("denied", str(reason))]


def test_a_denied_reader_that_goes_on_adds_nothing(world: World) -> None:
    world.grant(status=GrantStatus.REVOKED)
    for _ in range(MOST_DENIED):
        with pytest.raises(ReadDenied):
            world.reads.decide(ASKED, ReadPart.CONTENT, 0, 9)
    for _ in range(3):
        with pytest.raises(ReadingEnded):
            world.reads.decide(ASKED, ReadPart.CONTENT, 0, 9)
    assert len(world.log.waiting(1_000)) == MOST_DENIED


def test_after_its_hour_nothing_is_decided_or_kept(world: World) -> None:
    world.grant(expires=Instant(int((NOW + 86_400) * 1_000)))
    world.now = NOW + SESSION
    assert world.reads.decide(ASKED, ReadPart.CONTENT, 0, 9)
    world.now = NOW + SESSION + 1
    with pytest.raises(AttemptStale):
        world.reads.decide(ASKED, ReadPart.CONTENT, 0, 9)
    assert len(world.log.waiting(1_000)) == 1


def test_withdrawn_consent_denies_a_read(world: World) -> None:
    mark = SelectionMark(selection=VERSION, owner=HOSPITAL, number=Number(2), marked_at=Instant(1))
    world.records["selection-mark", str(VERSION)] = plain(mark)
    with pytest.raises(ReadDenied, match="consent"):
        world.read()


def test_reads_of_other_grants_are_not_decided_here(world: World) -> None:
    world.grant(batched=None)
    assert not world.read()
    world.records.clear()
    assert not world.read()
    assert world.kept() == []


def test_a_reading_ends_with_the_grant_or_after_a_while() -> None:
    grant = Entry("k", "access-grant", {"expires": int(NOW * 1_000) + 60_000}, "t", 1, "")
    assert until_of({"at": int(NOW * 1_000)}, grant) == NOW + 60
    later = Entry("k", "access-grant", {"expires": int(NOW * 1_000) + 10**9}, "t", 1, "")
    assert until_of({"at": int(NOW * 1_000)}, later) == NOW + SESSION


def test_what_is_kept_is_anchored_in_its_order_and_each_read_has_a_proof(world: World) -> None:
    for start in range(5):
        world.read(start)
    assert not world.anchoring.anchor()
    ((key, body),) = world.sent
    kept = world.kept()
    root = merkle.root(each["leaf"].encode() for each in kept)
    assert (body["number"], body["root"], body["size"]) == (1, root.hex(), 5)
    assert (body["since"], body["until"]) == (kept[0]["read"]["at"], kept[-1]["read"]["at"])
    assert key == f"reads-1-{root.hex()}"
    batch = AccessBatch(HOSPITAL, Number(1), Instant(1), Digest(root), Count(5), Instant(0), Instant(1))
    for entry in kept:
        assert (entry["batch"], entry["state"]) == (1, "anchored")
        verify_read(entry["leaf"].encode(), entry["index"], [bytes.fromhex(each) for each in entry["path"]], batch)
    world.anchoring.anchor()
    assert len(world.sent) == 1, "what is anchored is not anchored again"
    world.read()
    world.anchoring.anchor()
    assert [body["number"] for _, body in world.sent] == [1, 2]


def test_more_than_a_list_holds_goes_into_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "MOST", 3)
    for _ in range(7):
        world.read()
    while world.anchoring.anchor():
        pass
    assert [body["size"] for _, body in world.sent] == [3, 3, 1]


@pytest.mark.parametrize(
    "ending", [None, Failed(Category.UNAVAILABLE, "down", "It is down.", True, {})], ids=["pending", "failed"]
)
def test_a_list_that_was_not_taken_is_sent_again_as_it_was(world: World, ending: Any) -> None:
    world.read()
    world.ending = ending
    if ending is None:
        world.record = lambda intent, function, body: (world.sent.append((intent.key, body)), Answer(None, "s"))[1]  # type: ignore[method-assign]
        world.anchoring = Anchoring(world.log, world, world.record, "HospitalMSP", every=0.01)  # type: ignore[arg-type]
    world.anchoring.anchor()
    world.read()
    world.anchoring.anchor()
    assert world.sent[0] == world.sent[1]
    assert [each["state"] for each in world.kept()] == ["waiting", "waiting"]
    world.write(world.sent[0][1])
    world.anchoring.anchor()
    assert [each["state"] for each in world.kept()] == ["anchored", "waiting"]
    assert len(world.sent) == 2, "the ledger had it"


def test_a_list_whose_number_is_taken_gets_the_next(world: World) -> None:
    world.read()
    world.ending = Failed(Category.CONFLICT, "already-exists", "It exists.", False, {})
    world.anchoring.anchor()
    world.write({"number": 1, "root": "00" * 32, "size": 1})
    world.write({"number": 2, "root": "11" * 32, "size": 1})
    world.anchoring.anchor()
    world.ending = None
    world.anchoring.anchor()
    assert world.sent[-1][1]["number"] == 3
    assert [(each["batch"], each["state"]) for each in world.kept()] == [(3, "anchored")]


@IN_A_FILE
@pytest.mark.parametrize("how", ["changed", "removed", "added", "unreadable"])
def test_what_is_altered_after_anchoring_is_said_to_be(world: World, how: str) -> None:
    for _ in range(4):
        world.read()
    world.anchoring.anchor()
    change = {
        "changed": "UPDATE access_read SET leaf = replace(leaf, 'LabMSP', 'PodMSP') WHERE key = 2",
        "removed": "DELETE FROM access_read WHERE key = 2",
        "added": "INSERT INTO access_read (grant_name, leaf, batch, place) VALUES ('g-1', '{}', 1, 9)",
        "unreadable": "UPDATE access_read SET leaf = x'ff5b' WHERE key = 2",
    }[how]
    world.database.write(lambda connection: connection.execute(change))
    assert {each["state"] for each in world.kept()} == {"altered"}
    if how == "unreadable":
        assert [each["read"] is None for each in world.kept()] == [False, True, False, False]


def test_a_member_is_shown_a_list_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.services.readlistings.PAGE", 2)
    for start in range(3):
        world.read(start)
    world.anchoring.anchor()
    first = world.listings.batch(world.sign(), 0)
    second = world.listings.batch(world.sign(), first["next"])
    assert (first["size"], first["next"], second["next"]) == (3, 2, None)
    assert [each["index"] for each in (*first["items"], *second["items"])] == [0, 1, 2]


def test_only_members_are_shown_a_list_and_each_statement_serves_once(world: World) -> None:
    world.read()
    world.anchoring.anchor()
    genuine = world.sign()
    envelope = json.loads(genuine)
    signed = envelope["signatures"][0]
    for changes in ({"organisation": "LabMSP"}, {"certificate": "other"}, {"sig": "AAAA"}):
        forged = {**envelope, "signatures": [{**signed, **changes}]}
        with pytest.raises(StatementInvalid):
            world.listings.batch(json.dumps(forged).encode(), 0)
    world.listings.batch(genuine, 0)
    with pytest.raises(StatementRepeated):
        world.listings.batch(genuine, 0)
    stale = world.sign()
    world.now += 121
    with pytest.raises(StatementStale):
        world.listings.batch(stale, 0)
    elsewhere = ListStatements(Signer(), Place("RegulatorMSP", "side"), lambda: world.now).sign("HospitalMSP", 1)
    with pytest.raises(StatementElsewhere):
        world.listings.batch(json.dumps(elsewhere).encode(), 0)


STATEMENT = ListStatement("main", "HospitalMSP", 1, 7, "00" * 16)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"[" * 100_000, STATEMENT.encode() + b" ",
        *(json.dumps({**json.loads(STATEMENT.encode()), **changes}, sort_keys=True, separators=(",", ":")).encode()
          for changes in ({"more": 1}, {"channel": ""}, {"audience": 7}, {"nonce": "Z" * 32}, {"number": 0},
                          {"number": True}, {"at": -1}, {"at": "7"})),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(content: bytes) -> None:
    with pytest.raises(StatementInvalid):
        ListStatement.parse(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"payloadType": "text/plain"}, {"signatures": []}, {"signatures": [7]}, {"payload": 7}, {"payload": "?"},
        {"signatures": [{"sig": "AAAA"}]}, {"signatures": [{"sig": "AAAA", "organisation": "M"}]},
        {"signatures": [{"sig": "AAAA", "organisation": "M", "certificate": "\u00e9"}]},
        {"signatures": [{"sig": 1, "organisation": "M", "certificate": "c"}]},
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(world: World, changes: Any) -> None:
    with pytest.raises(StatementInvalid):
        ListClaim.parse(json.dumps({**json.loads(world.sign()), **changes}).encode())


KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.stores.database import Database
from gateway.stores.reads import ReadStore
log = ReadStore(Database.open(Path(sys.argv[1]), "sealed", durable=True))
for line in sys.stdin.buffer:
    log.keep(line.strip(), "g-1")
    print("kept", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@IN_A_FILE
def test_what_was_kept_before_a_kill_is_anchored_after_it(world: World, tmp_path: Path) -> None:
    for _ in range(3):
        world.read()
    leaves = [each["leaf"].encode() for each in world.kept()]
    other = tmp_path / "other" / "sealed.db"
    program = subprocess.run(
        [sys.executable, "-c", KILLED, str(other)], input=b"\n".join(leaves), capture_output=True, check=False
    )
    assert (program.returncode, program.stdout.count(b"kept")) == (-9, 3)
    database = open_store(other, "sealed", durable=True)
    try:
        Anchoring(ReadStore(database), world, world.record, "HospitalMSP", every=1).anchor()  # type: ignore[arg-type]
    finally:
        database.close()
    assert world.sent[-1][1]["root"] == merkle.root(leaves).hex()


def test_the_thread_anchors_by_itself_and_goes_on_after_a_failure(world: World) -> None:
    world.read()
    failing = [True]
    record = world.record

    def fail(intent: Any, function: str, body: Any) -> Answer:
        if failing:
            failing.clear()
            raise OSError("no network")
        return record(intent, function, body)

    thread = Anchoring(world.log, world, fail, "HospitalMSP", every=0.01)  # type: ignore[arg-type]
    thread.start()
    for _ in range(500):
        if world.sent:
            break
        thread._stopping.wait(0.01)
    thread.stop()
    assert len(world.sent) == 1
    assert {each["state"] for each in world.kept()} == {"anchored"}
