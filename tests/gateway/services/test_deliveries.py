# SPDX-License-Identifier: Apache-2.0
"""The data gateway gives what the ledger allowed to whom it allowed it, while it is fresh, and keeps who came."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dialects import IN_A_FILE, open_store
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sealing.blobs import HEADER, Header, derived_key
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import DamagedBlob
from gateway.sealing.fetching import PAYLOAD_TYPE, Claim, Statement, key_digest, public_bytes, sign
from gateway.sealing.release import Purpose, receive
from gateway.sealing.streams import Blob, Held, seal
from gateway.services import deliveries
from gateway.services.blobstores import Publication
from gateway.services.deliveries import FRESH, Deliveries, Place, Refuted
from gateway.services.deliverylog import MOST_BEGUN, bounded, joined
from gateway.services.ports import Entry
from gateway.services.publications import Vault
from gateway.services.reads import Reads
from gateway.services.undelivered import (
    AttemptBegunTooOften,
    AttemptDenied,
    AttemptElsewhere,
    AttemptForProcessing,
    AttemptStale,
    AttemptUnknown,
    AttemptUsed,
    DataStopped,
    DeliveryReplaced,
    DeliveryUnknown,
    GrantStopped,
    KeyDiffers,
    NotPublished,
    NotTheGrantee,
    StatementElsewhere,
    StatementInvalid,
    StatementRepeated,
    StatementStale,
    Undelivered,
)
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.reads import ReadStore
from gateway.stores.sealed import SealedStore

pytestmark = pytest.mark.usefixtures("dialect")

NOW = 1_800_000_000.0
ATTEMPT, ROOT, PART = "a1" * 32, "b2" * 32, "c3" * 32
CONTENT = os.urandom(200_000)
LAB = ec.generate_private_key(ec.SECP256R1())
MAKER = ec.generate_private_key(ec.SECP256R1())
OWN = ec.generate_private_key(ec.SECP256R1())
CERTIFICATES = {b"lab's": ("LabMSP", LAB), b"maker's": ("MakerMSP", MAKER)}


class Members:
    """Two organisations, each with one certificate."""

    def check(self, organisation: str, certificate: bytes, message: bytes, signature: bytes) -> str:
        found = CERTIFICATES.get(certificate)
        if found is None or found[0] != organisation:
            raise Refuted("not issued by a CA of this MSP")
        try:
            found[1].public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refuted("the certificate's key did not sign this statement") from None
        return sha256(certificate).hexdigest()


class World:
    """An owner's gateway over real stores, a ledger that says what a test says, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.attempt: dict[str, Any] | None = {
            "attempt": ATTEMPT, "by": "LabMSP", "at": int(NOW * 1_000), "grant": "wdbc-lab",
            "artifact": "dataset-version:wdbc:1", "action": "download", "purpose": "p", "decision": "allowed",
            "owner": "HospitalMSP",
        }  # fmt: skip
        self.grant: dict[str, Any] | None = {"grant": "wdbc-lab", "status": "active"}
        self.more: dict[tuple[str, ...], dict[str, Any]] = {}
        """What else the ledger has, by kind and key."""
        self.nonces = 0
        self.open()

    def open(self) -> None:
        """Start the gateway anew."""
        self.database = open_store(self.folder / "sealed.db", "sealed", durable=True)
        self.vault = Vault(
            BlobFiles(self.folder / "blobs"), SealedStore(self.database), lambda: KeyEncryptionKeys([b"k" * 32])
        )
        self.log = DeliveryStore(self.database)
        self.lost = self.log.recover()
        reads = Reads(self, ReadStore(self.database), lambda: self.now)  # type: ignore[arg-type]
        self.deliveries = Deliveries(
            self, self.vault, self.log, reads, Members(),
            lambda publication: iter([f"bundle of {publication.artifact}".encode()]),
            Place("HospitalMSP", "main"), lambda: self.now,
        )  # type: ignore[arg-type]  # fmt: skip

    def close(self) -> None:
        self.database.close()

    def find(self, kind: str, **where: str) -> Entry | None:
        """What the ledger has."""
        records = {
            ("access-attempt", ATTEMPT): self.attempt,
            ("access-grant", "wdbc-lab"): self.grant,
            ("dataset-version", "wdbc", "1"): {"root": ROOT},
            ("selection", "wdbc", "1", "train"): {"root": PART},
            ("selection", "wdbc", "1", "same"): {"root": PART},
            ("selection", "wdbc", "1", "all"): {"root": ROOT},
            **self.more,
        }
        value = records.get((kind, *where.values()))
        return None if value is None else Entry("k", kind, value, "t", 1, "")

    def killed(self) -> "World":
        """The gateway as it starts after this one was killed here and now: nothing of it is closed before."""
        after = self.folder / "after"
        shutil.copytree(self.folder, after, ignore=shutil.ignore_patterns("after"))
        return World(after)

    def publish(self, selection: str | None = None, root: str = ROOT, content: bytes = CONTENT) -> None:
        key = os.urandom(32)
        header = Header.new(key, size=len(content))
        wrapped = self.vault.keys().wrap(key, header.blob_id)
        size = len(content)
        made = Publication(header.blob_id, root, "wdbc", 1, "text/csv", size, "d" * 64, wrapped, NOW, selection)
        self.vault.blobs.put(made.name, seal(key, header, [content]))
        self.vault.publications.add(made)

    def statement(self, **changes: Any) -> Statement:
        self.nonces += 1
        nonce = f"{self.nonces:032x}"
        made = Statement("main", ATTEMPT, "HospitalMSP", int(self.now * 1_000), nonce, public_bytes(OWN))
        return replace(made, **changes)

    def claim(self, certificate: bytes = b"lab's", **changes: Any) -> bytes:
        organisation, key = CERTIFICATES[certificate]
        signed = sign(self.statement(**changes), key)
        return replace(signed, organisation=organisation, certificate=certificate).encode()

    def given(self) -> list[tuple[str, int, list[tuple[int, int]]]]:
        return [(each["outcome"], each["sent"], [(part["start"], part["stop"]) for part in each["given"]])
                for each in self.deliveries.listed(before=None, limit=100)["items"]]  # fmt: skip

    def outcomes(self) -> list[tuple[str, str, int]]:
        return [(each["organisation"], each["outcome"], each["sent"]) for each in
                self.deliveries.listed(before=None, limit=100)["items"]]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.publish()
    yield made
    made.database.close()


def opened(said: Any, sealed: bytes, holder: ec.EllipticCurvePrivateKey = OWN) -> bytes:
    return b"".join(Blob(key_of(said, holder), Held(sealed)).read())


def key_of(said: Any, holder: ec.EllipticCurvePrivateKey = OWN) -> bytes:
    purpose = Purpose("main", "wdbc-lab", ATTEMPT, said["root"], bytes.fromhex(said["blob"]))
    return receive(base64.b64decode(said["key"]), holder, purpose)


def test_the_grantee_gets_the_bytes_and_what_to_compare_them_by(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, None)
    sealed = b"".join(part.pieces)
    assert (part.start, part.stop, part.total) == (0, len(sealed), said["sealed_size"])
    assert opened(said, sealed) == CONTENT
    assert CONTENT[:100] not in sealed
    bundle = b"".join(world.deliveries.bundle(said["delivery"]))
    key = derived_key(key_of(said), Header.parse(bundle[:HEADER]).blob_id)
    assert b"".join(Blob(key, Held(bundle)).read()) == b"bundle of dataset-version:wdbc:1"
    assert world.outcomes() == [("LabMSP", "complete", len(sealed))]


def test_a_fetch_goes_on_by_range_after_the_gateway_died(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, None)
    first = next(part.pieces)[:70_000]
    part.pieces.close()  # type: ignore[attr-defined]
    assert world.outcomes()[0][1] == "open"
    world.database.close()
    world.open()
    world.now += FRESH - 1
    rest = b"".join(world.deliveries.read(said["delivery"], len(first), None).pieces)
    assert opened(said, first + rest) == CONTENT
    assert world.outcomes()[0][1] == "complete"
    assert b"".join(world.deliveries.read(said["delivery"], 100, 150).pieces) == (first + rest)[100:150]
    last = world.deliveries.read(said["delivery"], None, 7)
    assert b"".join(last.pieces) == rest[-7:]


def test_what_was_altered_in_the_store_is_refused_by_its_chunk(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    sealed = bytearray(b"".join(world.deliveries.read(said["delivery"], 0, None).pieces))
    sealed[70_000 + 80] ^= 1
    with pytest.raises(DamagedBlob, match="chunk 1 is not what was sealed there"):
        opened(said, bytes(sealed))


def refusal(world: World, claim: bytes, expected: type[Undelivered]) -> str:
    with pytest.raises(expected) as refused:
        world.deliveries.begin(claim)
    assert type(refused.value) is expected
    return refused.value.message


def test_a_statement_for_another_owner_or_channel_is_refused(world: World) -> None:
    assert "and this is HospitalMSP on main" in refusal(world, world.claim(audience="LabMSP"), StatementElsewhere)
    refusal(world, world.claim(channel="side"), StatementElsewhere)
    assert world.outcomes() == []


@pytest.mark.parametrize("away", [-FRESH - 1, FRESH + 1])
def test_a_statement_of_another_time_is_refused(world: World, away: float) -> None:
    text = refusal(world, world.claim(at=int((NOW + away) * 1_000)), StatementStale)
    assert "121 s from this gateway's clock" in text


def test_an_attempt_that_the_ledger_does_not_have_is_refused(world: World) -> None:
    refusal(world, world.claim(attempt="00" * 32), AttemptUnknown)


def test_another_organisation_is_refused(world: World) -> None:
    assert "MakerMSP asks, and LabMSP made the attempt" in refusal(world, world.claim(b"maker's"), NotTheGrantee)
    pretended = replace(Claim.parse(world.claim(b"maker's")), organisation="LabMSP").encode()
    assert "not issued by a CA of this MSP" in refusal(world, pretended, StatementInvalid)
    other = Claim.parse(world.claim())
    forged = replace(other, statement=replace(other.statement, nonce="f" * 32)).encode()
    assert "did not sign this statement" in refusal(world, forged, StatementInvalid)
    assert world.outcomes() == []


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        ({"decision": "denied", "reason": "expired"}, AttemptDenied, "as denied: expired"),
        ({"owner": "MakerMSP"}, AttemptElsewhere, "is MakerMSP's"),
        ({"action": "process"}, AttemptForProcessing, "is to process, not to download"),
        ({"at": int((NOW - 600) * 1_000)}, AttemptStale, "was decided 600 seconds ago"),
        ({"at": int((NOW + 200) * 1_000)}, AttemptStale, "was decided -200 seconds ago"),
        ({"artifact": "selection:wdbc:1:train"}, NotPublished, "are not published"),
        ({"artifact": "dataset-version:wdbc:2"}, NotPublished, "are not published"),
        ({"recipient_key_digest": "00" * 32}, KeyDiffers, "names another key"),
    ],
)
def test_what_the_ledger_does_not_allow_now_is_refused_and_kept(
    world: World, changes: dict[str, Any], expected: type[Undelivered], text: str
) -> None:
    assert world.attempt is not None
    world.attempt |= changes
    assert text in refusal(world, world.claim(), expected)
    assert world.outcomes() == [("LabMSP", expected.code, 0)]


def test_a_fetch_ten_minutes_later_is_stale_and_so_is_what_was_begun(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    world.now += 600
    assert "was decided 600 seconds ago" in refusal(world, world.claim(), AttemptStale)
    with pytest.raises(AttemptStale):
        world.deliveries.read(said["delivery"], 0, None)
    with pytest.raises(AttemptStale):
        world.deliveries.bundle(said["delivery"])
    with pytest.raises(DeliveryUnknown):
        world.deliveries.read("x" * 43, 0, None)


@pytest.mark.parametrize("status", ["suspended", "revoked", "expired"])
def test_a_grant_that_was_stopped_after_the_attempt_gives_nothing(world: World, status: str) -> None:
    assert world.grant is not None
    world.grant["status"] = status
    assert f"was {status} after the attempt" in refusal(world, world.claim(), GrantStopped)
    world.grant = None
    refusal(world, world.claim(), AttemptElsewhere)


def test_a_statement_is_taken_once(world: World) -> None:
    claim = world.claim()
    world.deliveries.begin(claim)
    refusal(world, claim, StatementRepeated)
    assert [outcome for _, outcome, _ in world.outcomes()] == ["fetch-statement-repeated", "open"]
    world.now += 60
    refusal(world, claim, StatementRepeated)


def test_what_was_given_out_whole_is_not_begun_again(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    list(world.deliveries.read(said["delivery"], 0, None).pieces)
    assert "make another attempt" in refusal(world, world.claim(), AttemptUsed)


def test_the_key_that_a_grant_names_signs_and_receives(world: World) -> None:
    assert world.attempt is not None
    assert world.grant is not None
    own = sign(world.statement(), OWN).encode()
    assert "the grant does not name" in refusal(world, own, NotTheGrantee)
    world.attempt["recipient_key_digest"] = world.grant["recipient_key_digest"] = key_digest(public_bytes(OWN))
    said = world.deliveries.begin(sign(world.statement(), OWN).encode())
    sealed = b"".join(world.deliveries.read(said["delivery"], 0, None).pieces)
    assert opened(said, sealed) == CONTENT
    wrong = replace(sign(world.statement(), OWN), signature=b"0").encode()
    assert "not that of the recipient's key" in refusal(world, wrong, StatementInvalid)
    refusal(world, sign(world.statement(key=public_bytes(MAKER)), MAKER).encode(), NotTheGrantee)


def test_a_key_that_data_cannot_be_released_to_is_refused(world: World) -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    der = other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert "must be on the curve P-256" in refusal(world, world.claim(key=der), KeyDiffers)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"\xff", b"x" * 40_000, b"[" * 20_000,
        json.dumps({"payloadType": "x"}).encode(),
        json.dumps({"payloadType": PAYLOAD_TYPE, "signatures": []}).encode(),
        json.dumps({"payloadType": PAYLOAD_TYPE, "signatures": [{}], "payload": 7}).encode(),
        json.dumps({"payloadType": PAYLOAD_TYPE, "signatures": [{}], "payload": "e30="}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(world: World, content: bytes) -> None:
    refusal(world, content, StatementInvalid)


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "x"}, {"nonce": "A" * 32}, {"attempt": "x"}, {"at": -1}, {"channel": ""}, {"audience": "x" * 257},
     {"key": b"x" * 1_025}],
)  # fmt: skip
def test_a_statement_of_another_form_is_refused(world: World, changes: dict[str, Any]) -> None:
    refusal(world, world.claim(**changes), StatementInvalid)


@IN_A_FILE
def test_what_is_about_to_leave_is_in_the_log_before_it_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_STRETCH", 50_000)
    monkeypatch.setattr(deliveries, "_PIECE", 20_000)
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, None)
    next(part.pieces)
    assert world.given() == [("open", 50_000, [(0, 50_000)])]
    for _ in range(3):
        next(part.pieces)
    assert world.given() == [("open", 150_000, [(0, 150_000)])], "each stretch is longer than the one before"
    with closing(world.killed()) as after:
        assert after.lost == 1
        assert after.given() == [("open", 150_000, [(0, 150_000)])]
        list(after.deliveries.read(said["delivery"], 0, 100).pieces)
        list(after.deliveries.read(said["delivery"], 150_000, None).pieces)
        assert after.given()[0][0] == "complete", "who asks for what follows has what came before"
    part.pieces.close()  # type: ignore[attr-defined]


@IN_A_FILE
def test_what_may_be_lost_is_not_charged(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, None)
    assert len(next(part.pieces)) == said["sealed_size"], "all of it was about to leave"
    with closing(world.killed()) as after:
        assert after.given() == [("open", said["sealed_size"], [(0, said["sealed_size"])])]
        again = after.deliveries.begin(world.claim())
        list(after.deliveries.read(again["delivery"], 0, 70_000).pieces)
        assert after.given()[0][0] == "open"
        list(after.deliveries.read(again["delivery"], 70_000, None).pieces)
        assert [outcome for outcome, _, _ in after.given()] == ["complete", "replaced"]
    part.pieces.close()  # type: ignore[attr-defined]


def test_what_broke_off_counts_the_piece_that_was_leaving(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_PIECE", 20_000)
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, None)
    next(part.pieces)
    next(part.pieces)
    part.pieces.close()  # type: ignore[attr-defined]
    assert world.given() == [("open", 40_000, [(0, 40_000)])]
    list(world.deliveries.read(said["delivery"], 30_000, 35_000).pieces)
    list(world.deliveries.read(said["delivery"], 35_000, None).pieces)
    assert world.given() == [("complete", 45_000 + said["sealed_size"] - 35_000, [(0, said["sealed_size"])])]


def test_a_piece_that_may_not_have_arrived_is_not_charged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_PIECE", 20_000)
    said = world.deliveries.begin(world.claim())
    total = said["sealed_size"]
    part = world.deliveries.read(said["delivery"], total - 10_000, None)
    next(part.pieces)
    part.pieces.close()  # type: ignore[attr-defined]
    list(world.deliveries.read(said["delivery"], 0, total - 10_000).pieces)
    assert world.given() == [("open", total, [(0, total)])]
    world.deliveries.begin(world.claim())


def test_a_delivery_is_complete_when_every_byte_was_given(world: World) -> None:
    said = world.deliveries.begin(world.claim())
    total = said["sealed_size"]
    for start, stop in ((None, 1), (total // 2, None), (10, total // 2 + 5)):
        list(world.deliveries.read(said["delivery"], start, stop).pieces)
        assert world.outcomes()[0][1] == "open"
    list(world.deliveries.read(said["delivery"], 0, 10).pieces)
    assert world.given() == [("complete", 1 + (total - total // 2) + (total // 2 - 5) + 10, [(0, total)])]


def test_the_next_delivery_under_an_attempt_takes_the_place_of_the_one_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_STRETCH", 50_000)
    monkeypatch.setattr(deliveries, "_PIECE", 50_000)
    first = world.deliveries.begin(world.claim())
    part = world.deliveries.read(first["delivery"], 0, None)
    next(part.pieces)
    second = world.deliveries.begin(world.claim())
    with pytest.raises(ConnectionAbortedError):
        next(part.pieces)
    with pytest.raises(DeliveryReplaced):
        world.deliveries.read(first["delivery"], 0, None)
    with pytest.raises(DeliveryReplaced):
        world.deliveries.bundle(first["delivery"])
    assert world.given()[1] == ("replaced", 50_000, [(0, 50_000)])
    list(world.deliveries.read(second["delivery"], 0, None).pieces)
    assert [outcome for outcome, _, _ in world.given()] == ["complete", "replaced"]
    refusal(world, world.claim(), AttemptUsed)


def test_what_was_given_before_counts_to_what_is_complete(world: World) -> None:
    first = world.deliveries.begin(world.claim())
    list(world.deliveries.read(first["delivery"], 0, 70_000).pieces)
    second = world.deliveries.begin(world.claim())
    list(world.deliveries.read(second["delivery"], 70_000, None).pieces)
    assert [outcome for outcome, _, _ in world.given()] == ["complete", "replaced"]


def test_an_attempt_is_begun_so_often_and_no_more(world: World) -> None:
    for _ in range(MOST_BEGUN):
        world.deliveries.begin(world.claim())
    assert "8 deliveries were begun" in refusal(world, world.claim(), AttemptBegunTooOften)
    assert [outcome for _, outcome, _ in world.outcomes()][:2] == ["attempt-begun-too-often", "open"]


def test_two_that_begin_at_once_are_not_both_served(world: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(world.deliveries.begin, [world.claim() for _ in range(4)]))
    served = 0
    for each in said:
        try:
            world.deliveries.read(each["delivery"], 0, None)
            served += 1
        except DeliveryReplaced:
            pass
    assert served == 1


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_what_was_begun_under_a_grant_that_was_stopped_does_not_go_on(world: World, status: str) -> None:
    said = world.deliveries.begin(world.claim())
    assert world.grant is not None
    world.grant["status"] = status
    with pytest.raises(GrantStopped):
        world.deliveries.read(said["delivery"], 0, None)
    with pytest.raises(GrantStopped):
        world.deliveries.bundle(said["delivery"])


def test_a_selection_is_given_out_under_an_attempt_of_it_and_nothing_else_is(world: World) -> None:
    assert world.attempt is not None
    world.publish("train", PART, CONTENT[:1_000])
    world.publish(content=b"the version again")
    world.attempt["artifact"] = "selection:wdbc:1:train"
    said = world.deliveries.begin(world.claim())
    assert (said["artifact"], said["root"], said["size"]) == ("selection:wdbc:1:train", PART, 1_000)
    sealed = b"".join(world.deliveries.read(said["delivery"], 0, None).pieces)
    assert opened(said, sealed) == CONTENT[:1_000]
    bundle = b"".join(world.deliveries.bundle(said["delivery"]))
    key = derived_key(key_of(said), Header.parse(bundle[:HEADER]).blob_id)
    assert b"".join(Blob(key, Held(bundle)).read()) == b"bundle of selection:wdbc:1:train"
    assert world.outcomes() == [("LabMSP", "complete", len(sealed))]


@pytest.mark.parametrize("name", ["same", "all", "none"])
def test_what_has_the_same_records_is_not_given_out_for_it(world: World, name: str) -> None:
    """Of two with one root, selections or a selection and its version, what was published is one of them."""
    assert world.attempt is not None
    world.publish("train", PART)
    world.attempt["artifact"] = f"selection:wdbc:1:{name}"
    assert f"selection:wdbc:1:{name} are not published" in refusal(world, world.claim(), NotPublished)


def test_data_that_was_stopped_after_the_attempt_gives_nothing(world: World) -> None:
    assert world.attempt is not None
    world.publish("train", PART)
    world.attempt["artifact"] = "selection:wdbc:1:train"
    said = world.deliveries.begin(world.claim())
    part = world.deliveries.read(said["delivery"], 0, 100)
    assert len(b"".join(part.pieces)) == 100
    kind = {"schema": 1, "kind": "artifact-stage", "artifact": "dataset-version:wdbc:1", "owner": "HospitalMSP"}
    stopped = {**kind, "stage": "quarantined", "digest": ROOT, "since": int(NOW * 1_000), "round": 1}
    for ledger, text in (
        ({("selection-mark", "selection:wdbc:1:train"): {}}, "took back their consent after the attempt"),
        ({("artifact-stage", "dataset-version:wdbc:1"): stopped}, "was quarantined after the attempt"),
    ):
        world.more = ledger
        assert text in refusal(world, world.claim(), DataStopped)
        with pytest.raises(DataStopped):
            world.deliveries.read(said["delivery"], 100, None)
        with pytest.raises(DataStopped):
            world.deliveries.bundle(said["delivery"])
    # Another selection's consent is another matter, and what was lifted is.
    world.more = {("selection-mark", "selection:wdbc:1:same"): {}}
    list(world.deliveries.read(said["delivery"], 100, None).pieces)
    assert [outcome for _, outcome, _ in world.outcomes()] == ["data-stopped", "data-stopped", "complete"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=40), st.integers(1, 6))
def test_ranges_are_joined_and_never_lose_a_byte(ranges: list[tuple[int, int]], most: int) -> None:
    wanted = {byte for start, stop in ranges for byte in range(start, stop)}
    found = joined(ranges)
    assert {byte for start, stop in found for byte in range(start, stop)} == wanted
    assert all(before[1] < after[0] for before, after in pairwise(found))
    kept = bounded(ranges, most)
    assert len(kept) <= most
    assert wanted <= {byte for start, stop in kept for byte in range(start, stop)}
    assert {kept[0][0], kept[-1][1]} <= {found[0][0], found[-1][1]} if found else kept == []
