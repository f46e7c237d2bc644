# SPDX-License-Identifier: Apache-2.0
"""Who asked for a transaction: MSP id, certificate, distinguished names and the attributes that the CA vouched for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from chaincode.shim import wire
from chaincode.shim.errors import MalformedIdentity

ATTRIBUTES_OID = ObjectIdentifier("1.2.3.4.5.6.7.8.1")
"""The certificate extension in which Fabric CA writes attributes, as JSON `{"attrs": {name: value}}`."""

# The order is that of Go's names read back to front: what Go's parser does not know is left out there too.
_NAME_PARTS = (
    (NameOID.SERIAL_NUMBER, "SERIALNUMBER"),
    (NameOID.COMMON_NAME, "CN"),
    (NameOID.POSTAL_CODE, "POSTALCODE"),
    (NameOID.STREET_ADDRESS, "STREET"),
    (NameOID.STATE_OR_PROVINCE_NAME, "ST"),
    (NameOID.LOCALITY_NAME, "L"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    (NameOID.ORGANIZATION_NAME, "O"),
    (NameOID.COUNTRY_NAME, "C"),
)
_SINGLE = frozenset({NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME})
_ESCAPED = frozenset(',+"\\<>;')


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The identity that signed the proposal."""

    msp_id: str
    certificate: x509.Certificate
    attributes: Mapping[str, str]
    id: str
    """`x509::<subject>::<issuer>`: the text that Go's `cid.GetID` answers in base64 and Node's as it is."""

    def attribute(self, name: str) -> str | None:
        """The value of an attribute, or `None` when the certificate does not carry it."""
        return self.attributes.get(name)


@lru_cache(maxsize=1024)
def parse_creator(creator: bytes) -> ClientIdentity:
    """Read a serialised identity; the same bytes are parsed once.

    Raises:
        MalformedIdentity: when it holds no X.509 certificate, or attributes that are not strings in JSON.
    """
    try:
        return _parse(creator)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the X.509 library's native part is not an `Exception`
        raise MalformedIdentity("the creator of the transaction is not a readable X.509 identity") from error


def _parse(creator: bytes) -> ClientIdentity:
    """Read everything that is ever asked: the library raises errors of many kinds, and only when it is asked."""
    serialized = wire.decode(wire.SerializedIdentity, creator)
    certificate = x509.load_pem_x509_certificate(serialized.id_bytes)
    attributes = _attributes(certificate)
    return ClientIdentity(
        msp_id=serialized.mspid,
        certificate=certificate,
        attributes=MappingProxyType(attributes),
        id=f"x509::{distinguished_name(certificate.subject)}::{distinguished_name(certificate.issuer)}",
    )


def distinguished_name(name: x509.Name) -> str:
    """A name as Go's `cid` package writes it: a fixed order, equal types joined by `+`, characters escaped."""
    parts = []
    for oid, label in _NAME_PARTS:
        values = [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]
        if oid in _SINGLE:
            values = [value for value in values[-1:] if value]
        if values:
            parts.append("+".join(f"{label}={_escape(value)}" for value in values))
    return ",".join(parts)


def _escape(value: str) -> str:
    last = len(value) - 1
    return "".join(
        "\\" + character
        if character in _ESCAPED or (position == 0 and character in " #") or (position == last and character == " ")
        else character
        for position, character in enumerate(value)
    )


def _attributes(certificate: x509.Certificate) -> dict[str, str]:
    try:
        extension = certificate.extensions.get_extension_for_oid(ATTRIBUTES_OID)
    except x509.ExtensionNotFound:
        return {}
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    document = json.loads(extension.value.value)
    attributes = document.get("attrs") if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise ValueError("the attributes are not strings by name")
    return attributes
