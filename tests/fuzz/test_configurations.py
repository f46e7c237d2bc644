# SPDX-License-Identifier: Apache-2.0
"""Whatever one member writes into its own part of the configuration, and whatever certificate it shows: a refusal or a
disabled member, never another exception, and never a matter of the other members."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.fabric import MalformedData, wire
from gateway.fabric.blocks import decode_transaction
from gateway.fabric.certificates import load_certificate, load_revocation_list
from gateway.fabric.errors import NotUnderstood
from gateway.fabric.following import InForce

AT = datetime(2026, 1, 1, tzinfo=UTC)
PEM = serialization.Encoding.PEM
MEMBERS = ("EvilMSP", "LabMSP", "HospitalMSP")


class Made:
    """Three organisations' authorities and peers, the same in every run, so that a seed gives the same bytes."""

    def __init__(self) -> None:
        self.authorities = {name: self._authority(name) for name in MEMBERS}
        self.peers = {name: self._peer(name) for name in MEMBERS}
        key, certificate = self.authorities["EvilMSP"]
        builder = x509.CertificateRevocationListBuilder(certificate.subject, AT, AT.replace(year=2046))
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        self.list = (
            builder.add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
            .public_bytes(PEM)
        )

    def identity(self, name: str, pem: bytes | None = None) -> bytes:
        found = self.peers[name].public_bytes(PEM) if pem is None else pem
        return bytes(wire.identities.SerializedIdentity(mspid=name, id_bytes=found).SerializeToString())

    def msp(self, name: str) -> Any:
        config = wire.msp_config.FabricMSPConfig(name=name, root_certs=[self.authorities[name][1].public_bytes(PEM)])
        config.fabric_node_ous.enable = True
        for role in ("client", "peer", "admin", "orderer"):
            getattr(config.fabric_node_ous, f"{role}_ou_identifier").organizational_unit_identifier = role
        return config

    def configuration(self, of_evil: bytes, kind: int = 0) -> Any:
        envelope = wire.configtx.ConfigEnvelope()
        application = envelope.config.channel_group.groups["Application"]
        for name in MEMBERS:
            inner = of_evil if name == "EvilMSP" else self.msp(name).SerializeToString()
            outer = wire.msp_config.MSPConfig(config=inner, type=kind if name == "EvilMSP" else 0)
            application.groups[name].values["MSP"].value = outer.SerializeToString()
        return envelope

    def _authority(self, name: str) -> tuple[Any, x509.Certificate]:
        key = ec.derive_private_key(1000 + len(name), ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"ca.{name}")])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, AT, AT.replace(year=2046))
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return key, builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)

    def _peer(self, name: str) -> x509.Certificate:
        key, authority = self.authorities[name]
        parts = [(x509.NameOID.COMMON_NAME, "peer0"), (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "peer")]
        subject = x509.Name([x509.NameAttribute(*part) for part in parts])
        own = ec.derive_private_key(2000 + len(name), ec.SECP256R1()).public_key()
        builder = x509.CertificateBuilder(authority.subject, subject, own, 2, AT, AT.replace(year=2046))
        names = x509.SubjectAlternativeName([x509.DNSName("peer0.example")])
        return builder.add_extension(names, critical=False).sign(key, hashes.SHA256(), ecdsa_deterministic=True)


@cache
def made() -> Made:
    return Made()


def mangled(chance: random.Random, data: bytes) -> bytes:
    """The bytes with a few of them changed, left out, repeated or put in."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 8)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 32)]
            case _:
                del changed[at:]
    return bytes(changed)


def pem_of(der: bytes, label: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def some_pem(chance: random.Random) -> bytes:
    """A certificate or list, changed within its DER or in its PEM."""
    pem = chance.choice([*(each.public_bytes(PEM) for _, each in made().authorities.values()), made().list])
    if chance.random() < 0.3:
        return mangled(chance, pem)
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    return pem_of(mangled(chance, der), chance.choice(["CERTIFICATE", "X509 CRL", "TRUSTED CERTIFICATE", ""]))


def some_definition(chance: random.Random) -> bytes:
    """Evil's MSP with some of its parts replaced, and perhaps bytes of nobody's making behind it."""
    config = made().msp("EvilMSP")
    changes: list[Callable[[], object]] = [
        lambda: config.root_certs.append(some_pem(chance)),
        lambda: config.intermediate_certs.append(some_pem(chance)),
        lambda: config.admins.append(some_pem(chance)),
        lambda: config.revocation_list.append(some_pem(chance)),
        lambda: config.organizational_unit_identifiers.add(
            organizational_unit_identifier=chance.choice(["peer", "", "x"]), certificate=some_pem(chance)
        ),
        lambda: config.fabric_node_ous.ClearField(chance.choice(["client_ou_identifier", "peer_ou_identifier"])),
        lambda: setattr(config.fabric_node_ous.peer_ou_identifier, "certificate", some_pem(chance)),
        lambda: setattr(config.crypto_config, "signature_hash_family", chance.choice(["SHA3", "SHA2", "MD5", ""])),
        lambda: setattr(config, "name", chance.choice(["EvilMSP", "LabMSP", "", "\u202e"])),
    ]
    for change in chance.sample(changes, chance.randint(1, 4)):
        change()
    written: bytes = config.SerializeToString()
    if chance.random() < 0.3:
        depth = chance.choice([1, 50, 150, 3000])
        return written + b"\xfb\x3f" * depth + b"\xfc\x3f" * depth
    return mangled(chance, written) if chance.random() < 0.5 else written


def taken_or_refused(work: Callable[[], object]) -> str | None:
    """Why it was refused, in a text that can be shown; `None` when it was taken."""
    try:
        work()
    except (MalformedData, NotUnderstood) as exc:
        problem = str(exc)
    else:
        return None
    assert problem.isprintable()
    return problem


def test_whatever_a_member_writes_into_its_msp_concerns_that_member_alone(fuzzing: Any) -> None:
    for chance in fuzzing.rounds("configurations"):
        definition = some_definition(chance)
        found = InForce(made().configuration(definition, chance.choice([0, 0, 0, 1, 7])))
        # Only posing as another member, which no ledger accepts, can disable that one.
        posed = b"LabMSP" in definition
        assert set(found.msps.disabled) <= {"EvilMSP"} | (found.msps.ids - set(MEMBERS)) | (
            {"LabMSP"} if posed else set()
        )
        assert found.msps.member(made().identity("HospitalMSP")).role == "peer"
        for problem in found.msps.disabled.values():
            assert problem.isprintable()
        member = partial(found.msps.member, made().identity("EvilMSP"))
        if taken_or_refused(member) is None:
            with pytest.raises(InvalidSignature):
                member().verify(b"message", chance.randbytes(80))


def test_any_certificate_is_taken_or_refused(fuzzing: Any) -> None:
    msps = InForce(made().configuration(made().msp("EvilMSP").SerializeToString())).msps
    peer = made().peers["EvilMSP"].public_bytes(PEM)
    signed = made().peers["EvilMSP"].tbs_certificate_bytes
    for chance in fuzzing.rounds("certificates"):
        pem = some_pem(chance) if chance.random() < 0.5 else mangled(chance, peer)
        taken_or_refused(lambda pem=pem: load_certificate(pem, "x"))
        taken_or_refused(lambda pem=pem: load_revocation_list(pem, "x"))
        der = mangled(chance, base64.b64decode(b"".join(peer.splitlines()[1:-1])))
        if signed not in der:
            identity = made().identity("EvilMSP", pem_of(der))
            assert taken_or_refused(lambda identity=identity: msps.member(identity)), "a changed certificate was taken"


def test_any_bytes_of_a_configuration_or_transaction_are_read_or_not_understood(fuzzing: Any) -> None:
    whole = made().configuration(made().msp("EvilMSP").SerializeToString()).SerializeToString()
    for chance in fuzzing.rounds("messages"):
        data = mangled(chance, whole)
        taken_or_refused(lambda data=data: InForce(data).msps.disabled)
        found = decode_transaction(data)
        assert found.malformed is None or found.malformed.isprintable()
