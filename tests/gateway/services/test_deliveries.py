# SPDX-License-Identifier: Apache-2.0
"""The data gateway gives what the ledger allowed to whom it allowed it, while it is fresh, and keeps who came."""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.sealing.blobs import HEADER, Header, derived_key
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import DamagedBlob
from gateway.sealing.fetching import PAYLOAD_TYPE, Claim, Statement, key_digest, public_bytes, sign
from gateway.sealing.release import Purpose, receive
from gateway.sealing.streams import Blob, Held, seal
from gateway.services.blobstores import Publication
from gateway.services.deliveries import FRESH, Deliveries, Place, Refuted
from gateway.services.ports import Entry
from gateway.services.publications import Vault
from gateway.services.undelivered import (
    AttemptDenied,
    AttemptElsewhere,
    AttemptForProcessing,
    AttemptStale,
    AttemptUnknown,
    AttemptUsed,
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
from gateway.stores.database import Database
from gateway.stores.deliveries import DeliveryStore
from gateway.stores.sealed import SealedStore

NOW = 1_800_000_000.0
ATTEMPT, ROOT = "a1" * 32, "b2" * 32
CONTENT = os.urandom(200_000)
LAB = ec.generate_private_key(ec.SECP256R1())
MAKER = ec.generate_private_key(ec.SECP256R1())
OWN = ec.generate_private_key(ec.SECP256R1())
CERTIFICATES = {b"lab's": ("LabMSP", LAB), b"maker's": ("MakerMSP", MAKER)}


class Members:
    """Two organisations, each with one certificate."""

    def check(self, organisation: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        found = CERTIFICATES.get(certificate)
        if found is None or found[0] != organisation:
            raise Refuted("not issued by a CA of this MSP")
        try:
            found[1].public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refuted("the certificate's key did not sign this statement") from None


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
        self.nonces = 0
        self.open()

    def open(self) -> None:
        """Start the gateway anew."""
        self.database = Database.open(self.folder / "sealed.db", "sealed", durable=True)
        self.vault = Vault(
            BlobFiles(self.folder / "blobs"), SealedStore(self.database), lambda: KeyEncryptionKeys([b"k" * 32])
        )
        self.log = DeliveryStore(self.database)
        self.deliveries = Deliveries(
            self, self.vault, self.log, Members(), lambda *version: iter([" ".join(("bundle", *version)).encode()]),
            Place("HospitalMSP", "main"), lambda: self.now,
        )  # type: ignore[arg-type]  # fmt: skip

    def find(self, kind: str, **where: str) -> Entry | None:
        """What the ledger has."""
        records = {
            ("access-attempt", ATTEMPT): self.attempt,
            ("access-grant", "wdbc-lab"): self.grant,
            ("dataset-version", "wdbc", "1"): {"root": ROOT},
        }
        value = records.get((kind, *where.values()))
        return None if value is None else Entry("k", kind, value, "t", 1, "")

    def publish(self) -> None:
        key = os.urandom(32)
        header = Header.new(key, size=len(CONTENT))
        wrapped = self.vault.keys().wrap(key, header.blob_id)
        made = Publication(header.blob_id, ROOT, "wdbc", 1, "text/csv", len(CONTENT), "d" * 64, wrapped, NOW)
        self.vault.blobs.put(made.name, seal(key, header, [CONTENT]))
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
    purpose = Purpose("main", "wdbc-lab", ATTEMPT, ROOT, bytes.fromhex(said["blob"]))
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
    assert b"".join(Blob(key, Held(bundle)).read()) == b"bundle wdbc 1"
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
