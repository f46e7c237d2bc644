# SPDX-License-Identifier: Apache-2.0
"""A client of a Fabric CA's REST API, version 1 (Fabric CA 1.5: lib/server*.go, api/client.go).

    with FabricCa("https://ca.hospital.example:7054", tls_context(root), name="ca.hospital.example") as ca:
        admin = ca.enrol("admin", secret, msp_id="HospitalMSP")
        secret = ca.register(Registration("gateway"), admin)
        gateway = ca.enrol("gateway", secret, msp_id="HospitalMSP")

Synchronous and thread-safe; it retries nothing: register and enrol change what the CA counts. Whatever it answers is
checked before it is used: a certificate must be for the key that was sent, of the name that was asked for, and issued
by a CA of the chain that came with it, which must hold the pinned root where one is given.
"""

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gateway.fabric import Signer
from gateway.identities.credential import Credential, common_name, load_certificate, load_certificates
from gateway.identities.errors import CaMisbehaved, IdentityError
from gateway.identities.keys import PrivateKey, algorithm_of, certificate_request, generate, same_key
from gateway.identities.records import (
    REASONS,
    AttributeRequest,
    CaInfo,
    Issued,
    RegisteredIdentity,
    Registration,
    Revoked,
)
from gateway.identities.token import token
from gateway.identities.transport import Json, Transport


class FabricCa:
    """One CA of a Fabric CA server; `name` chooses among several on one server.

    `root` pins the certificate that every issued identity must chain to: the root of the organisation's MSP. Without
    it the chain that the CA sends is believed, as far as TLS vouches for the sender.
    """

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None,
        *,
        name: str = "",
        root: x509.Certificate | None = None,
        timeout: float = 15.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._transport = Transport(url, context, timeout=timeout)
        self._name = name
        self._root = root

    @property
    def address(self) -> str:
        """HOST:PORT, for messages."""
        return self._transport.address

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- without an identity ------------------------------------------------------------------------------------

    def info(self) -> CaInfo:
        """Who the CA is."""
        query = {"ca": self._name} if self._name else {}
        result = self._transport.send("GET", self._transport.uri("cainfo", query), b"", {})
        return CaInfo(str(result.get("CAName", "")), str(result.get("Version", "")), self._chain(result))

    def enrol(
        self,
        name: str,
        secret: str,
        *,
        msp_id: str,
        key: PrivateKey | None = None,
        hosts: Sequence[str] = (),
        attributes: Sequence[AttributeRequest] | None = None,
        profile: str = "",
    ) -> Credential:
        """Prove knowledge of the secret and get a certificate for `key`, by default a fresh P-256 key.

        `attributes` None asks for those that were registered with ecert, an empty sequence for none. `profile` "tls"
        gives a TLS certificate. Raises `CaError`, `CaUnreachable` or `CaMisbehaved`.
        """
        if not name or ":" in name or not name.isprintable():
            raise IdentityError(f"enrolment id {name!r}: visible characters without a colon are wanted")
        key = key if key is not None else generate("p256")
        body = self._enrolment(name, key, hosts, attributes, profile)
        password = b64encode(f"{name}:{secret}".encode()).decode()
        uri = self._transport.uri("enroll", {})
        result = self._transport.send("POST", uri, body, {"Authorization": f"Basic {password}"}, hide=secret)
        return self._issued(result, name, key, msp_id)

    # -- with an identity ---------------------------------------------------------------------------------------

    def reenrol(
        self,
        by: Credential,
        *,
        key: PrivateKey | None = None,
        hosts: Sequence[str] = (),
        attributes: Sequence[AttributeRequest] | None = None,
        profile: str = "",
    ) -> Credential:
        """A new certificate for the same name, by default with a fresh key of the same algorithm; the old one stays
        valid until it expires or is revoked."""
        key = key if key is not None else generate(algorithm_of(by.key))
        body = self._enrolment(by.name, key, hosts, attributes, profile)
        return self._issued(self._call("POST", "reenroll", by, body), by.name, key, by.msp_id)

    def register(self, registration: Registration, by: Credential) -> str:
        """Make a name known and answer its secret; raises `AlreadyRegistered` when it is."""
        body = self._encode(registration.to_json())
        result = self._call("POST", "register", by, body, hide=registration.secret or "")
        secret = result.get("secret")
        if not isinstance(secret, str) or not secret:
            raise CaMisbehaved(f"the CA at {self.address} registered {registration.name} without telling its secret")
        return secret

    def change_secret(self, name: str, secret: str, by: Credential) -> None:
        """Give a registered name another secret; nobody can enrol with the old one any more."""
        body = self._encode({"secret": secret})
        self._call("PUT", f"identities/{quote(name, safe='')}", by, body, hide=secret)

    def revoke(
        self,
        by: Credential,
        *,
        name: str = "",
        serial: str = "",
        aki: str = "",
        reason: str = "unspecified",
        crl: bool = False,
    ) -> Revoked:
        """Revoke all certificates of a name and the name itself, or one certificate by serial number and authority
        key id (both hexadecimal); with `crl` the new revocation list comes along.

        Raises `IdentityError` for a reason that the CA does not know, since it would drop it without a word.
        """
        if reason not in REASONS:
            raise IdentityError(f"reason {reason!r} is none of {', '.join(REASONS)}")
        if bool(serial) != bool(aki) or bool(name) == bool(serial):
            raise IdentityError("revoke either a name, or one certificate by serial number and authority key id")
        wanted = {"id": name} if name else {"serial": serial, "aki": aki}
        result = self._call("POST", "revoke", by, self._encode({**wanted, "reason": reason, "gencrl": crl}))
        revoked = result.get("RevokedCerts") or []
        if not isinstance(revoked, list) or not all(isinstance(item, dict) for item in revoked):
            raise CaMisbehaved(f"the CA at {self.address} listed what it revoked in a form that is not known")
        # Without a certificate revoked the CA makes no list.
        text = result.get("CRL") if crl else None
        return Revoked(
            tuple((str(item.get("Serial", "")), str(item.get("AKI", ""))) for item in revoked),
            self._decoded(text, "revocation list") if text else None,
        )

    def revocation_list(self, by: Credential) -> bytes:
        """The list of all revoked certificates that have not expired, as PEM; the caller needs hf.GenCRL."""
        result = self._call("POST", "gencrl", by, self._encode({}))
        return self._decoded(result.get("CRL"), "revocation list")

    def identities(self, by: Credential) -> tuple[RegisteredIdentity, ...]:
        """All identities that the caller may see; it must be a registrar."""
        found = self._get("identities", by).get("identities")
        return tuple(RegisteredIdentity.from_json(item) for item in self._items(found, "identities"))

    def identity(self, name: str, by: Credential) -> RegisteredIdentity:
        """One identity; raises `CaError` when the CA has none of this name."""
        return RegisteredIdentity.from_json(self._get(f"identities/{quote(name, safe='')}", by))

    def certificates(self, by: Credential, *, name: str = "", usable: bool = False) -> tuple[x509.Certificate, ...]:
        """Certificates of a name, or all that the caller may see; `usable` leaves out revoked and expired ones."""
        query = {"id": name} if name else {}
        if usable:
            query |= {"notexpired": "true", "notrevoked": "true"}
        found = self._items(self._get("certificates", by, query).get("certs"), "certificates")
        return tuple(load_certificate(str(_field(item, "PEM")).encode(), "the CA's answer") for item in found)

    # -- how it is said -----------------------------------------------------------------------------------------

    def _get(self, endpoint: str, by: Credential, query: dict[str, str] | None = None) -> Json:
        named = {"ca": self._name} if self._name else {}
        return self._call("GET", endpoint, by, b"", {**named, **(query or {})})

    def _call(
        self,
        method: str,
        endpoint: str,
        by: Credential,
        body: bytes,
        query: dict[str, str] | None = None,
        *,
        hide: str = "",
    ) -> Json:
        uri = self._transport.uri(endpoint, query or {})
        header = token(method, uri, body, by.pem, Signer(by.key))
        return self._transport.send(method, uri, body, {"Authorization": header}, hide=hide)

    def _encode(self, body: Json) -> bytes:
        named = {"caname": self._name} if self._name else {}
        return json.dumps({**body, **named}).encode()

    def _enrolment(
        self,
        name: str,
        key: PrivateKey,
        hosts: Sequence[str],
        attributes: Sequence[AttributeRequest] | None,
        profile: str,
    ) -> bytes:
        request = certificate_request(key, name, hosts).decode("ascii")
        body: Json = {"certificate_request": request}
        if hosts:
            body["hosts"] = list(hosts)
        if profile:
            body["profile"] = profile
        if attributes is not None:
            body["attr_reqs"] = [attribute.to_json() for attribute in attributes]
        return self._encode(body)

    # -- what may be believed -----------------------------------------------------------------------------------

    def _issued(self, result: Json, name: str, key: PrivateKey, msp_id: str) -> Credential:
        pem = self._decoded(result.get("Cert"), "certificate")
        issued = Issued(load_certificate(pem, "the CA's answer"), self._chain(result.get("ServerInfo")))
        certificate = issued.certificate
        if not same_key(certificate, key):
            raise CaMisbehaved(f"the CA at {self.address} answered with a certificate for another key")
        if common_name(certificate) != name:
            raise CaMisbehaved(f"the CA at {self.address} answered with a certificate of {common_name(certificate)!r}")
        return Credential(msp_id, certificate, key, self._path(issued), self._clock().replace(microsecond=0))

    def _path(self, issued: Issued) -> tuple[x509.Certificate, ...]:
        """The CA certificates from the issuer to the top of the chain, each signed by the next."""
        path: list[x509.Certificate] = []
        below = issued.certificate
        while issuer := next((each for each in issued.chain if each not in path and _issued_by(below, each)), None):
            path.append(issuer)
            below = issuer
        if not path:
            raise CaMisbehaved(f"the CA at {self.address} answered with a certificate that its chain did not issue")
        if self._root is not None and self._root not in path:
            raise CaMisbehaved(f"the CA at {self.address} is not below the organisation's pinned root")
        return tuple(path)

    def _chain(self, server: Any) -> tuple[x509.Certificate, ...]:
        chain = self._decoded(_field(server, "CAChain", None), "chain of CAs")
        return load_certificates(chain, f"the chain of the CA at {self.address}")

    def _decoded(self, text: Any, what: str) -> bytes:
        try:
            content = b64decode(text, validate=True)
        except (TypeError, ValueError):
            content = b""
        if not content:
            raise CaMisbehaved(f"the CA at {self.address} answered without its {what}")
        return content

    def _items(self, value: Any, what: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise CaMisbehaved(f"the CA at {self.address} listed its {what} in a form that is not known")
        return value


def _field(value: Any, name: str, *default: Any) -> Any:
    if not isinstance(value, dict) or (name not in value and not default):
        raise CaMisbehaved(f"the CA's answer has no {name}")
    return value.get(name, *default)


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
