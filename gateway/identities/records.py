# SPDX-License-Identifier: Apache-2.0
"""What a Fabric CA is sent and what it answers, as values; their JSON is that of its `api` package."""

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from gateway.identities.errors import CaMisbehaved, IdentityError

REASONS = (
    "unspecified",
    "keycompromise",
    "cacompromise",
    "affiliationchanged",
    "superseded",
    "cessationofoperation",
    "certificatehold",
    "removefromcrl",
    "privilegewithdrawn",
    "aacompromise",
)
"""Reasons of revocation that a Fabric CA knows (RFC 5280, section 5.3.1); others it would silently drop."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a registered identity; with `ecert` it is in every certificate by default."""

    name: str
    value: str
    ecert: bool = False

    @classmethod
    def parse(cls, text: str) -> "Attribute":
        """Read `name=value` or `name=value:ecert`; raises `IdentityError`."""
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise IdentityError(f"attribute {text!r}: NAME=VALUE or NAME=VALUE:ecert is wanted")
        ecert = value.endswith(":ecert")
        return cls(name, value.removesuffix(":ecert"), ecert)

    def to_json(self) -> dict[str, Any]:
        """As the CA reads it."""
        return {"name": self.name, "value": self.value, "ecert": self.ecert}


@dataclass(frozen=True, slots=True)
class AttributeRequest:
    """An attribute that a certificate is to carry; the CA refuses when it is not optional and not owned."""

    name: str
    optional: bool = False

    @classmethod
    def parse(cls, text: str) -> "AttributeRequest":
        """Read `name` or `name:opt`; raises `IdentityError`."""
        name = text.removesuffix(":opt")
        if not name:
            raise IdentityError(f"attribute request {text!r}: NAME or NAME:opt is wanted")
        return cls(name, text.endswith(":opt"))

    def to_json(self) -> dict[str, Any]:
        """As the CA reads it."""
        return {"name": self.name, "optional": self.optional}


@dataclass(frozen=True, slots=True)
class Registration:
    """What is registered; `affiliation` empty means the registrar's own, `.` the root.

    `max_enrolments` 0 is as many as the CA allows, -1 without limit; an absent `secret` is made by the CA.
    """

    name: str
    type: str = "client"
    affiliation: str = ""
    attributes: tuple[Attribute, ...] = ()
    max_enrolments: int = 0
    secret: str | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As the CA reads it."""
        body: dict[str, Any] = {"id": self.name, "type": self.type, "affiliation": self.affiliation}
        if self.attributes:
            body["attrs"] = [attribute.to_json() for attribute in self.attributes]
        if self.max_enrolments:
            body["max_enrollments"] = self.max_enrolments
        if self.secret is not None:
            body["secret"] = self.secret
        return body


@dataclass(frozen=True, slots=True)
class CaInfo:
    """Who the CA is; `chain` begins with the certificate that issues."""

    name: str
    version: str
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that a CA has issued, and the CA's chain."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class RegisteredIdentity:
    """What the CA knows about an identity."""

    name: str
    type: str
    affiliation: str
    max_enrolments: int
    attributes: tuple[Attribute, ...]

    @classmethod
    def from_json(cls, value: Any) -> "RegisteredIdentity":
        """From the CA's answer; raises `CaMisbehaved`."""
        try:
            return cls(
                name=str(value["id"]),
                type=str(value.get("type", "")),
                affiliation=str(value.get("affiliation", "")),
                max_enrolments=int(value.get("max_enrollments", 0)),
                attributes=tuple(
                    Attribute(str(item["name"]), str(item["value"]), bool(item.get("ecert", False)))
                    for item in value.get("attrs") or ()
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CaMisbehaved("the CA described an identity in a form that is not known") from None


@dataclass(frozen=True, slots=True)
class Revoked:
    """Certificates that were revoked, as (serial number, authority key id) in hexadecimal; the list if asked for."""

    certificates: tuple[tuple[str, str], ...]
    crl: bytes | None
