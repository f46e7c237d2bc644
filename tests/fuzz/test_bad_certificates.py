# SPDX-License-Identifier: Apache-2.0
"""Certificates that are bad on purpose: each reader takes one whole or refuses it in a line, and none is believed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from chaincode.crypto import check_signature
from chaincode.domain.errors import BadSignature
from gateway.cli import main
from gateway.fabric.certificates import load_certificate
from gateway.fabric.errors import InvalidIdentity, MalformedData
from gateway.fabric.mspfolder import msp_from_folder
from network.embedded.certificates import MalformedCertificate
from network.embedded.certificates import load_certificate as load_as_a_node

LONG_AGO = datetime(1950, 1, 1, tzinfo=UTC)
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2044, 1, 1, tzinfo=UTC)


class Authority(NamedTuple):
    """A CA with its key."""

    certificate: x509.Certificate
    key: Any


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issued(
    authority: Authority | None,
    subject: str,
    key: Any,
    *,
    ca: bool | None = False,
    length: int | None = None,
    start: datetime = START,
    end: datetime = END,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> x509.Certificate:
    """A certificate by the authority, or one that its own key signed."""
    issuer, signer = (name(subject), key) if authority is None else (authority.certificate.subject, authority.key)
    builder = x509.CertificateBuilder(issuer, name(subject), key.public_key(), x509.random_serial_number(), start, end)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    plain = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(signer, None if plain else hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(content: bytes, label: bytes = b"CERTIFICATE") -> bytes:
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, base64.encodebytes(content).strip(), label)


@pytest.fixture(scope="module")
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(issued(None, "ca", key, ca=True), key)


@pytest.fixture(scope="module")
def bad(authority: Authority) -> dict[str, bytes]:
    """What somebody may hand over as a certificate, by what is wrong with it."""
    return dict(_bad(authority))


def _bad(authority: Authority) -> Iterator[tuple[str, bytes]]:
    p256 = ec.generate_private_key(ec.SECP256R1())
    good = der(issued(authority, "somebody", p256))
    yield "nothing", b""
    yield "text", b"somebody"
    yield "DER", good
    yield "NULs", bytes(2_000)
    yield "a beginning alone", b"-----BEGIN CERTIFICATE-----\n"
    yield "a block of nothing", pem(b"")
    yield "what is no base64", b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"
    yield "an empty sequence", pem(b"\x30\x00")
    yield "a length of four gigabytes", pem(b"\x30\x84\xff\xff\xff\xff" + good)
    yield "a length without an end", pem(b"\x30\x80" + good)
    yield "sequences within one another", pem(b"\x30\x82\x10\x00" * 4_000)
    yield "a request", pem(_request(p256), b"CERTIFICATE REQUEST")
    yield "ten megabytes", pem(good) * 12_000
    yield "ten megabytes of one", pem(good + bytes(10 << 20))
    for place in range(0, len(good), 9):
        yield f"cut off at {place}", pem(good[:place])
        yield f"another byte at {place}", pem(good[:place] + bytes((good[place] ^ 0x55,)) + good[place + 1 :])
    yield "a serial number below zero", pem(_with_serial(good, -5))
    yield "the serial number zero", pem(_with_serial(good, 0))
    for kind, key in _odd_keys().items():
        yield f"a key of {kind}", pem(der(issued(authority, "somebody", key)))
    yield "a key for agreement", pem(der(_of_public(authority, x25519.X25519PrivateKey.generate().public_key())))
    yield "its own signature", pem(der(issued(None, "somebody", p256)))
    yield "no basic constraints", pem(der(issued(authority, "somebody", p256, ca=None)))
    yield "an authority's", pem(der(issued(authority, "somebody", p256, ca=True)))
    yield "a longer chain than may be", pem(der(_below(authority)))
    yield "no date in it", pem(der(issued(authority, "s", p256, start=LONG_AGO, end=LONG_AGO)))
    yield "a name of 60 KB", pem(der(issued(authority, "s", p256, extensions=(_alternative("x" * 60_000),))))
    yield "a name that cannot be shown", pem(der(issued(authority, "a\u202e\x1b[2J\n", p256)))


def _odd_keys() -> dict[str, Any]:
    return {
        "RSA with 1024 bits": rsa.generate_private_key(65537, 1024),
        "DSA": dsa.generate_private_key(1024),
        "P-224": ec.generate_private_key(ec.SECP224R1()),
        "P-521": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }


def _request(key: Any) -> bytes:
    return x509.CertificateSigningRequestBuilder(name("x")).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _alternative(host: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(host)])


def _of_public(authority: Authority, key: Any) -> x509.Certificate:
    issuer = authority.certificate.subject
    builder = x509.CertificateBuilder(issuer, name("somebody"), key, x509.random_serial_number(), START, END)
    return builder.sign(authority.key, hashes.SHA256())


def _below(authority: Authority) -> x509.Certificate:
    """A member's certificate under an authority that may have no authority under it, and has one."""
    found = authority
    for depth in range(3):
        key = ec.generate_private_key(ec.SECP256R1())
        found = Authority(issued(found, f"ca{depth}", key, ca=True, length=0), key)
    return issued(found, "somebody", ec.generate_private_key(ec.SECP256R1()))


def _with_serial(content: bytes, serial: int) -> bytes:
    """The certificate with another serial number of the same length; its signature fits no more."""
    at = content.index(b"\xa0\x03\x02\x01\x02\x02") + 6
    length = content[at]
    return content[: at + 1] + serial.to_bytes(length, signed=True) + content[at + 1 + length :]


def check(refusal: Exception, what: str) -> None:
    """A refusal is one line that a terminal can show."""
    assert str(refusal).isprintable(), what
    assert len(str(refusal)) < 1_000, what


def test_every_reader_takes_it_whole_or_refuses_it_in_a_line(bad: dict[str, bytes]) -> None:
    for what, content in bad.items():
        try:
            read = load_certificate(content, "it")
        except MalformedData as refusal:
            check(refusal, what)
        else:
            assert read.name.isprintable(), what
        try:
            load_as_a_node(content)
        except MalformedCertificate as refusal:
            check(refusal, what)


def test_none_is_the_signature_of_anybody_or_a_member(
    bad: dict[str, bytes], authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "cacerts").mkdir()
    (tmp_path / "cacerts" / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    members = []
    for what, content in bad.items():
        try:
            read = load_certificate(content, "it")
        except MalformedData:
            continue
        with pytest.raises(BadSignature):
            check_signature(read.public_key, b"message", b"signature")
        try:
            msp_from_folder("LabMSP", tmp_path).accept(read, b"")
        except InvalidIdentity as refusal:
            check(refusal, what)
        else:
            members.append(what)
    # Their own CA vouches for these, whatever is odd about them; what their keys sign counts for nothing.
    curves = {"a key of P-224", "a key of P-521"}
    shapes = {
        "no basic constraints",
        "no date in it",
        "a name of 60 KB",
        "a name that cannot be shown",
        "an authority's",
    }
    assert set(members) <= curves | shapes


@pytest.mark.parametrize("section", ["cacerts", "intermediatecerts", "admincerts", "crls"])
def test_a_folder_that_holds_one_is_refused_by_the_name_of_the_file_or_read(
    bad: dict[str, bytes], authority: Authority, tmp_path: Path, section: str
) -> None:
    for folder in {"cacerts", section}:
        (tmp_path / folder).mkdir()
    (tmp_path / "cacerts" / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    refused = 0
    for what, content in bad.items():
        (tmp_path / section / "it.pem").write_bytes(content)
        try:
            msp_from_folder("LabMSP", tmp_path)
        except MalformedData as refusal:
            check(refusal, what)
            refused += 1
    assert refused > len(bad) // 2


def test_the_command_refuses_it_in_one_line(bad: dict[str, bytes], tmp_path: Path) -> None:
    file, evidence = tmp_path / "it.pem", tmp_path / "statement.json"
    evidence.write_text('{"payloadType":"x","payload":"","signatures":[]}', encoding="utf-8")
    for what in ("nothing", "text", "DER", "ten megabytes", "a serial number below zero", "a key of DSA"):
        file.write_bytes(bad[what])
        done = CliRunner().invoke(main, ["verify", str(evidence), "--certificate", str(file)])
        assert done.exit_code not in (0, 3), what
        assert done.stderr.count("\n") == 1, (what, done.stderr)
        assert "Traceback" not in done.stderr
