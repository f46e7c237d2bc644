# SPDX-License-Identifier: Apache-2.0
"""A member's bytes against the embedded network: certificates, configurations and ordered envelopes, all mutilated.

Whatever comes, a certificate is read whole or refused, a configuration is compiled or refused, and a channel goes on
with a state that equals that of a channel which never saw the mutilated envelopes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2
from fabric_protos.peer import transaction_pb2

from network.config.revocation import make_list
from network.embedded.blockcommit import commit_genesis
from network.embedded.certificates import MalformedCertificate, load_certificate, load_list
from network.embedded.channel import Channel
from network.embedded.channelconfig import ChannelConfig, MalformedConfig
from network.embedded.fsck import fsck
from network.embedded.identity import InvalidIdentity, MalformedIdentity, Signer
from network.embedded.mspsetup import check_setup
from network.embedded.policy import role_principal
from network.embedded.store import Store

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

# The ledger's own tests make worlds and transactions; test folders are no packages, so it is loaded from its file.
_FILE = Path(__file__).parents[1] / "network" / "embedded" / "ledger" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("ledgerkit", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
kit: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(kit)

ENTRIES = 12
"""Envelopes of one round on a channel."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return kit.load_world(tmp_path_factory.mktemp("world"))


def damaged(chance: random.Random, data: bytes) -> bytes:
    """A few bytes changed, left out, doubled, or put where they do not belong."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0 if found:
                found[at % len(found)] = chance.randrange(256)
            case 1 if found:
                found[at % len(found)] ^= 1 << chance.randrange(8)
            case 2:
                del found[at : at + chance.choice((1, 2, 8, 100))]
            case 3:
                found[at:at] = chance.randbytes(chance.choice((1, 2, 9)))
            case _:
                found[at:at] = found[at : at + chance.choice((2, 16, 64))]
    return bytes(found)


def pem(der: bytes, label: bytes = b"CERTIFICATE") -> bytes:
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, base64.b64encode(der), label)


def extended(chance: random.Random, signer: Any, issuer: x509.Certificate, key: Any) -> bytes:
    """A certificate that the organisation's own CA issued, with extensions of hostile content."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(issuer.subject).issuer_name(issuer.subject)
    builder = builder.public_key(signer.public_key()).serial_number(chance.randrange(1, 1 << 60))
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(now.replace(year=now.year + 1))
    numbers = ("2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.35")
    for oid in chance.sample(numbers, chance.randrange(1, 4)):
        shapes = (chance.randbytes(chance.randrange(9)), bytes((0x30, 2, 0xA0 | chance.randrange(16), 0)), b"\x30\x00")
        content = chance.choice(shapes)
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def authority(world: Any) -> tuple[x509.Certificate, Any]:
    folder = world.material.organisation("lab.example") / "ca"
    key = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), password=None)
    return x509.load_pem_x509_certificate(next(folder.glob("*-cert.pem")).read_bytes()), key


def test_a_certificate_is_read_whole_or_refused(fuzzing: Fuzzing, world: Any) -> None:
    issuer, key = authority(world)
    good = x509.load_pem_x509_certificate(world.peers["LabMSP"].certificate_pem)
    der = good.public_bytes(serialization.Encoding.DER)
    roles = [role_principal("LabMSP", role) for role in ("member", "admin", "peer")]
    for chance in fuzzing.rounds("certificates"):
        raw = damaged(chance, der) if chance.random() < 0.6 else extended(chance, key, issuer, key)
        block = pem(raw, chance.choice((b"CERTIFICATE", b"X509 CERTIFICATE", b"NONE")))
        block = damaged(chance, block) if chance.random() < 0.1 else block
        serialized = identities_pb2.SerializedIdentity(mspid="LabMSP", id_bytes=block).SerializeToString()
        try:
            load_certificate(block)
            identity = world.config.msps.deserialise(serialized)
            world.config.msps.validate(identity)
        except (MalformedCertificate, MalformedIdentity, InvalidIdentity):
            continue
        assert identity.key[0] == "LabMSP"
        assert all(isinstance(world.config.msps.satisfies(identity, role), bool) for role in roles)


def test_a_configuration_is_compiled_or_refused(fuzzing: Fuzzing, world: Any) -> None:
    for chance in fuzzing.rounds("configurations"):
        envelope = type(world.config.envelope)()
        envelope.CopyFrom(world.config.envelope)
        members = envelope.config.channel_group.groups["Application"].groups.values()
        lab = next(each for each in members if ChannelConfig.msp_id_of(each) == "LabMSP")
        wrapped = msp_config_pb2.MSPConfig.FromString(lab.values["MSP"].value)
        msp = msp_config_pb2.FabricMSPConfig.FromString(wrapped.config)
        mutilate(chance, msp)
        wrapped.config = msp.SerializeToString() if chance.random() < 0.9 else damaged(chance, wrapped.config)
        wrapped.type = 0 if chance.random() < 0.95 else chance.randrange(4)
        lab.values["MSP"].value = wrapped.SerializeToString()
        for policy in lab.policies.values():
            if chance.random() < 0.1:
                policy.policy.value = damaged(chance, policy.policy.value)
        with contextlib.suppress(ValueError):
            check_setup(msp)
        try:
            compiled = ChannelConfig("pedigree", envelope)
        except MalformedConfig:
            continue
        assert compiled.application_orgs
        with_hospital = compiled.msps.deserialise(world.peers["HospitalMSP"].serialized)
        compiled.msps.validate(with_hospital)  # what one member does to itself concerns no other


def mutilate(chance: random.Random, msp: Any) -> None:
    """Do to one organisation what its administrator may: in every list, in every way."""
    lists = (msp.root_certs, msp.intermediate_certs, msp.admins, msp.revocation_list, msp.tls_root_certs)
    target = chance.choice(lists)
    block = chance.choice((bytes(msp.root_certs[0]), b"", b"rubbish"))
    match chance.randrange(5):
        case 0:
            target.append(damaged(chance, block) if block else block)
        case 1 if len(target):
            target[0] = damaged(chance, target[0])
        case 2:
            unit = msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier="x", certificate=block)
            msp.organizational_unit_identifiers.append(unit)
        case 3:
            msp.fabric_node_ous.admin_ou_identifier.certificate = block
        case _:
            del target[:]


def test_a_list_of_revocations_is_read_whole_or_refused(fuzzing: Fuzzing, world: Any) -> None:
    folder = world.material.organisation("lab.example") / "ca"
    first = make_list(folder, [world.peers["LabMSP"].certificate_pem], None)
    der = x509.load_pem_x509_crl(first).public_bytes(serialization.Encoding.DER)
    issuer = load_certificate(next(folder.glob("*-cert.pem")).read_bytes())
    assert load_list(der).signed_by(issuer)
    for chance in fuzzing.rounds("revocations"):
        raw = damaged(chance, der)
        try:
            found = load_list(raw)
        except MalformedCertificate:
            continue
        assert raw == der or not found.signed_by(issuer) or load_list(der).serial_numbers == found.serial_numbers


# -- envelopes that are ordered ----------------------------------------------------------------------------------------


def hostile(chance: random.Random, ledger: Any, number: int) -> bytes:
    """An envelope that a member signed, whatever it holds: the ordering service takes it."""
    draft = kit.Draft(creator="LabMSP", event="E" if chance.random() < 0.3 else None)
    draft.rwset.add_write("cc", f"evil{number}", b"v")
    _, raw = ledger.transaction(draft)
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(raw).payload)
    match chance.randrange(4):
        case 0:
            payload.data = damaged(chance, payload.data)
        case 1:
            payload.header.channel_header = damaged(chance, payload.header.channel_header)
        case 2:
            payload.data = endorsed_by(chance, ledger, payload.data)
        case _:
            return damaged(chance, payload.SerializeToString())
    return bytes(payload.SerializeToString())


def endorsed_by(chance: random.Random, ledger: Any, data: bytes) -> bytes:
    """The transaction with an endorser whose certificate the organisation's own CA has spoilt."""
    issuer, key = authority(ledger.world)
    spoilt = pem(extended(chance, key, issuer, key))
    transaction = transaction_pb2.Transaction.FromString(data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    eve = Signer("LabMSP", spoilt, key)
    entry = action.action.endorsements[chance.randrange(2)]
    entry.endorser = eve.serialized
    entry.signature = eve.sign(action.action.proposal_response_payload + eve.serialized)
    transaction.actions[0].payload = action.SerializeToString()
    return bytes(transaction.SerializeToString())


class Run:
    """One channel that runs, from its genesis block on."""

    def __init__(self, world: Any, path: Path) -> None:
        store = Store.open(path, durable=False)
        commit_genesis(store, common_pb2.Block.FromString(world.genesis))
        self.path = path
        self.ledger = kit.Ledger(world, store)
        self.ledger.define(kit.definition())
        self.failures: list[BaseException] = []

    async def play(self, envelopes: list[bytes]) -> None:
        """Order envelopes that LabMSP signs, and let all of them be committed."""
        ledger = self.ledger
        config = ChannelConfig.from_block(ledger.store.block(0))
        channel = Channel(
            ledger.store,
            config,
            ledger.world.orderer,
            ledger.transient,
            nonce=lambda: b"n",
            on_failure=self.failures.append,
        )
        channel.store.close = lambda: None  # type: ignore[method-assign]
        channel.start()
        signer = ledger.world.users["LabMSP"]
        for payload in envelopes:
            envelope = common_pb2.Envelope(payload=payload, signature=signer.sign(payload))
            await channel.orderer.broadcast(envelope)
        await channel.stop()

    def honest(self) -> dict[str, bytes]:
        with self.ledger.store.snapshot() as snapshot:
            found = {key: entry.value for key, entry in snapshot.range("cc", "", "")}
        return {key: value for key, value in found.items() if not key.startswith("evil")}


def honest(ledger: Any, number: int) -> bytes:
    draft = kit.Draft(creator="LabMSP")
    draft.rwset.add_write("cc", f"good{number}", b"%d" % number)
    return bytes(common_pb2.Envelope.FromString(ledger.transaction(draft)[1]).payload)


@pytest.fixture
def runs(world: Any, tmp_path: Path) -> Iterator[tuple[Run, Run]]:
    pair = Run(world, tmp_path / "attacked.db"), Run(world, tmp_path / "alone.db")
    yield pair
    for run in pair:
        Store.close(run.ledger.store)


def test_a_channel_goes_on_as_if_it_had_never_seen_them(fuzzing: Fuzzing, runs: tuple[Run, Run]) -> None:
    attacked, alone = runs
    attacked.ledger.start_nonces(1 << 40)  # so that the two sides make transactions of different ids
    number = 0
    for chance in fuzzing.rounds("envelopes"):
        good, all_of_them = [], []
        for _ in range(ENTRIES):
            number += 1
            if chance.random() < 0.3:
                good.append(honest(alone.ledger, number))
                all_of_them.append(good[-1])
            else:
                all_of_them.append(hostile(chance, attacked.ledger, number))
        asyncio.run(attacked.play(all_of_them))
        asyncio.run(alone.play(good))
        assert (attacked.failures, alone.failures) == ([], [])
        assert attacked.honest() == alone.honest()
    assert alone.honest()
    assert fsck(attacked.path).findings == []
