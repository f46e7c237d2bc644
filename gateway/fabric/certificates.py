# SPDX-License-Identifier: Apache-2.0
"""The one place where foreign certificates and revocation lists are read.

Each is read once and whole: everything that is asked of it later is taken out here, so that the X.509 library, which
reads extensions and keys only when they are asked for, cannot fail anywhere else. Whatever it raises becomes
`MalformedData`.

What is accepted is what Fabric's peers accept of an organisation's own material: the first PEM block whatever its label
(rule P-23), and any extension that is not asked for, whether or not the library knows its form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.fabric.errors import MalformedData
from gateway.fabric.texts import said

__all__ = ["Certificate", "RevocationList", "load_certificate", "load_revocation_list", "read_certificate"]

_LARGEST = 64 * 1024
"""Bytes of a certificate in PEM; Fabric's own have one or two thousand."""
_BEGIN = re.compile(rb"(?:\A|\n)-----BEGIN ([^\n-]*)-----[ \t\r]*\n")
_END = b"\n-----END "
_LIST_LABEL = b"-----BEGIN X509 CRL"
_BASIC_CONSTRAINTS = bytes.fromhex("551d13")
_SUBJECT_KEY_ID = bytes.fromhex("551d0e")
_AUTHORITY_KEY_ID = bytes.fromhex("551d23")
_SEQUENCE, _BOOLEAN, _OCTETS, _OBJECT_ID, _KEY_ID = 0x30, 0x01, 0x04, 0x06, 0x80
_EXTENSIONS, _LIST_EXTENSIONS = 0xA3, 0xA0
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with everything that is ever asked of it."""

    der: bytes
    fingerprint: bytes
    """SHA-256 of the signed part. The signature is left out since flipping its s makes other bytes of the same
    certificate (rule P-23)."""
    name: str
    """The subject, fit to be shown."""
    subject: bytes
    """The subject's DER."""
    issuer: bytes
    """The issuer's DER."""
    serial: int
    units: tuple[str, ...]
    """Organisational units of the subject, repetitions included."""
    authority: bool
    """Whether the basic constraints make this a CA."""
    key_id: bytes | None
    """The subject key identifier."""
    public_key: Any
    parsed: x509.Certificate

    def issued_by(self, issuer: Certificate) -> bool:
        """Whether the certificate names the issuer and the issuer's key signed it."""
        try:
            self.parsed.verify_directly_issued_by(issuer.parsed)
        except Exception:  # whatever makes the check impossible, nothing was proven
            return False
        return True


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list of revoked certificates; whose it is, is asked of each CA."""

    authority_key_id: bytes | None
    serials: frozenset[int]
    parsed: x509.CertificateRevocationList

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether the list is of this CA: named by its key identifier, and signed with its key (rule P-24)."""
        if self.authority_key_id is None or self.authority_key_id != issuer.key_id:
            return False
        try:
            return self.parsed.is_signature_valid(issuer.public_key)
        except Exception:  # signed with a key or algorithm of another kind
            return False


def load_certificate(pem: bytes, what: str) -> Certificate:
    """The certificate in the first PEM block; raises `MalformedData` naming `what` it was read from."""
    if len(pem) > _LARGEST:
        raise MalformedData(f"{what}: larger than {_LARGEST} bytes")
    return _guarded(lambda: _read(x509.load_der_x509_certificate(_first_block(pem))), what, "certificate")


def read_certificate(parsed: x509.Certificate, what: str = "certificate") -> Certificate:
    """A certificate that somebody has parsed already; raises `MalformedData`."""
    return _guarded(lambda: _read(parsed), what, "certificate")


def load_revocation_list(data: bytes, what: str) -> RevocationList:
    """A revocation list in PEM or DER; raises `MalformedData` naming `what` it was read from."""

    def read() -> RevocationList:
        der = _first_block(data) if data.startswith(_LIST_LABEL) else data
        parsed = x509.load_der_x509_crl(der)
        extensions = _extensions(parsed.tbs_certlist_bytes, _LIST_EXTENSIONS)
        found = extensions.get(_AUTHORITY_KEY_ID)
        key_id = None if found is None else dict(_elements(_content(found, _SEQUENCE))).get(_KEY_ID)
        return RevocationList(key_id, frozenset(each.serial_number for each in parsed), parsed)

    return _guarded(read, what, "revocation list")


def _guarded(read: Callable[[], _Read], what: str, kind: str) -> _Read:
    try:
        return read()
    except Exception as exc:  # the library has no family of errors, and raises some of them late
        raise MalformedData(f"{what}: no usable {kind}: {said(str(exc) or type(exc).__name__)}") from exc


def _read(parsed: x509.Certificate) -> Certificate:
    extensions = _extensions(parsed.tbs_certificate_bytes, _EXTENSIONS)
    key_id = extensions.get(_SUBJECT_KEY_ID)
    constraints = extensions.get(_BASIC_CONSTRAINTS)
    units = parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Certificate(
        der=parsed.public_bytes(Encoding.DER),
        fingerprint=hashlib.sha256(parsed.tbs_certificate_bytes).digest(),
        name=said(parsed.subject.rfc4514_string()),
        subject=parsed.subject.public_bytes(),
        issuer=parsed.issuer.public_bytes(),
        serial=parsed.serial_number,
        units=tuple(each.value if isinstance(each.value, str) else each.value.decode() for each in units),
        authority=constraints is not None and _says_authority(constraints),
        key_id=None if key_id is None else _content(key_id, _OCTETS),
        public_key=parsed.public_key(),
        parsed=parsed,
    )


def _first_block(pem: bytes) -> bytes:
    """What the first block that can be decoded holds, as Go reads PEM: whatever its label and what stands around it."""
    for begin in _BEGIN.finditer(pem):
        end = pem.find(_END, begin.end() - 1)
        if end < 0:
            break
        if not pem.startswith(begin[1] + b"-----", end + len(_END)):
            continue
        body = pem[begin.end() : end]
        if b":" in body:  # headers, such as "Proc-Type: …", end with an empty line
            _, _, body = body.replace(b"\r\n", b"\n").partition(b"\n\n")
        try:
            return base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
    raise ValueError("no PEM block")


# -- the little of DER (X.690) that is needed to find an extension among others that nobody can read ----------------


def _says_authority(constraints: bytes) -> bool:
    first = next(_elements(_content(constraints, _SEQUENCE)), None)
    return first is not None and first[0] == _BOOLEAN and any(first[1])


def _extensions(signed_part: bytes, tag: int) -> dict[bytes, bytes]:
    """Every extension's value by its OID, both as they are there; none twice (RFC 5280, section 4.2)."""
    wrapped = dict(_elements(_content(signed_part, _SEQUENCE))).get(tag)
    found: dict[bytes, bytes] = {}
    for _, extension in _elements(_content(wrapped, _SEQUENCE)) if wrapped is not None else ():
        parts = dict(_elements(extension))
        if parts[_OBJECT_ID] in found:
            raise ValueError("an extension is there twice")
        found[parts[_OBJECT_ID]] = parts[_OCTETS]
    return found


def _content(data: bytes, tag: int) -> bytes:
    found = next(_elements(data), None)
    if found is None or found[0] != tag:
        raise ValueError(f"an element of type {tag:#x} was expected")
    return found[1]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after another."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        if position + length > len(data):
            raise ValueError("an element is longer than what holds it")
        yield tag, data[position : position + length]
        position += length
