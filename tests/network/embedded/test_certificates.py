# SPDX-License-Identifier: Apache-2.0
"""The boundary to the X.509 library: what it cannot read is refused once, and raises nothing later (P-14, P-23)."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from network.embedded.certificates import MalformedCertificate, load_certificate, load_list
from network.embedded.der import without_extensions
from network.embedded.identity import MalformedIdentity, Msp, Msps

Make = Callable[..., Any]

BROKEN = {
    "alternative names that are no DER": ("2.5.29.17", b"garbage"),
    "basic constraints that are no DER": ("2.5.29.19", b"\x30\xff"),
    "a key usage of a wrong type": ("2.5.29.15", b"\x05\x00"),
    "a path length below zero": ("2.5.29.19", bytes.fromhex("30060101ff0201ff")),
    "name constraints of nothing": ("2.5.29.30", b"\x30\x00\x00"),
    "an address of three bytes": ("2.5.29.17", bytes.fromhex("30058703010203")),
    "policies that are an integer": ("2.5.29.32", b"\x02\x01\x00"),
}
FOREIGN_NAMES = {
    "x400Address": bytes.fromhex("3002a300"),
    "ediPartyName": bytes.fromhex("3002a500"),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_extension_is_a_refusal_when_the_identity_is_read(
    authority: Make, make_msp: Make, problem: str
) -> None:
    root = authority("root")
    odd = root.issue_odd("eve", ["peer"], BROKEN[problem])
    with pytest.raises(MalformedIdentity):
        Msps([make_msp("A", root)]).deserialise(odd.serialized("A"))


def test_the_same_extension_twice_is_a_refusal(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    names = bytes.fromhex("30038201")
    raw = root.issue_odd("eve", ["peer"], ("2.5.29.17", names + b"a"), ("2.5.29.18", names + b"a"))
    der = raw.certificate.public_bytes(serialization.Encoding.DER).replace(
        b"\x06\x03\x55\x1d\x12", b"\x06\x03\x55\x1d\x11"
    )
    twice = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(MalformedCertificate, match="uplicate"):
        load_certificate(twice)


@pytest.mark.parametrize("kind", FOREIGN_NAMES)
def test_names_of_a_kind_that_the_library_does_not_know_are_passed_over_as_in_fabric(
    authority: Make, make_msp: Make, kind: str
) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    identity = msps.deserialise(root.issue_odd("user", ["peer"], ("2.5.29.17", FOREIGN_NAMES[kind])).serialized("A"))
    msps.validate(identity)
    assert not identity.certificate.is_authority


def test_a_root_with_such_a_name_is_a_root(make_msp: Make, authority: Make) -> None:
    root = authority("root")
    constraints = bytes.fromhex("30030101ff")
    odd = root.issue_odd("root", [], ("2.5.29.19", constraints), ("2.5.29.17", FOREIGN_NAMES["x400Address"]))
    self_signed = authority("root", key=odd.key)
    self_signed.certificate = odd.certificate
    loaded = load_certificate(odd.pem)
    assert loaded.is_authority
    config = make_msp("A", root).config
    config.root_certs[:] = [odd.pem]
    msps = Msps([Msp(config)])
    msps.validate(msps.deserialise(self_signed.issue("user", ["client"]).serialized("A")))


@pytest.mark.parametrize("label", [b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE", b"ANYTHING AT ALL"])
def test_the_label_of_the_block_does_not_matter(authority: Make, label: bytes) -> None:
    pem = authority("root").pem
    labelled = pem.replace(b"CERTIFICATE", label)
    assert load_certificate(labelled).der == load_certificate(pem).der
    with_headers = labelled.replace(b"-----\n", b"-----\nProc-Type: 4\n\n", 1)
    assert load_certificate(b"before it\n" + with_headers).der == load_certificate(pem).der


@pytest.mark.parametrize(
    "pem", [b"", b"-----BEGIN X-----\n!!\n-----END X-----", b"-----BEGIN X-----\n", b"\x30\x03\x02\x01\x00"]
)
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(MalformedCertificate):
        load_certificate(pem)


def test_extensions_can_be_left_out(authority: Make) -> None:
    root = authority("root")
    user = root.issue_odd("user", ["peer"], ("2.5.29.17", b"\x30\x00"))
    der = user.certificate.public_bytes(serialization.Encoding.DER)
    assert len(x509.load_der_x509_certificate(without_extensions(der, ["2.5.29.17"])).extensions) == 1
    assert len(x509.load_der_x509_certificate(without_extensions(der, ["2.5.29.17", "2.5.29.19"])).extensions) == 0


@pytest.mark.parametrize("kind", ["another key", "rsa", "ed25519"])
def test_a_list_that_a_stranger_signed_in_the_name_of_a_ca_revokes_nothing(
    authority: Make, make_msp: Make, kind: str
) -> None:
    root = authority("root")
    user = root.issue("user", ["client"])
    keys = {
        "another key": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    now = user.certificate.not_valid_before_utc
    entry = x509.RevokedCertificateBuilder().serial_number(user.certificate.serial_number).revocation_date(now).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
    builder = builder.last_update(now).next_update(user.certificate.not_valid_after_utc).add_revoked_certificate(entry)
    forged = builder.sign(keys[kind](), None if kind == "ed25519" else hashes.SHA256())
    msps = Msps([make_msp("A", root, revocation_list=[forged.public_bytes(serialization.Encoding.PEM)])])
    msps.validate(msps.deserialise(user.serialized("A")))


def test_a_list_is_read_in_der_too_and_rubbish_is_refused(authority: Make) -> None:
    root = authority("root")
    pem = root.revocation_list(root.issue("user", []).certificate)
    der = x509.load_pem_x509_crl(pem).public_bytes(serialization.Encoding.DER)
    assert load_list(der).serial_numbers == load_list(pem).serial_numbers
    for rubbish in (b"", b"rubbish", der[:-1], pem[:-30]):
        with pytest.raises(MalformedCertificate):
            load_list(rubbish)


@settings(deadline=None)
@given(at=st.integers(0, 10_000), instead=st.binary(min_size=1, max_size=4))
def test_any_damaged_certificate_is_read_whole_or_refused(authority_pem: bytes, at: int, instead: bytes) -> None:
    der = bytearray(x509.load_pem_x509_certificate(authority_pem).public_bytes(serialization.Encoding.DER))
    at %= len(der)
    der[at : at + len(instead)] = instead
    block = b"-----BEGIN CERTIFICATE-----\n" + _base64(bytes(der)) + b"\n-----END CERTIFICATE-----\n"
    try:
        found = load_certificate(block)
    except MalformedCertificate:
        return
    assert repr(found)


def _base64(der: bytes) -> bytes:
    return base64.b64encode(der)


@pytest.fixture(scope="module")
def authority_pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "peer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
    signed = builder.sign(key, hashes.SHA256())
    return bytes(signed.public_bytes(serialization.Encoding.PEM))
