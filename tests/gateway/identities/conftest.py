# SPDX-License-Identifier: Apache-2.0
"""A root that issues certificates as a Fabric CA does, and a CA on a socket that can be told to lie and to fail."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.identities.ca import FabricCa
from gateway.identities.credential import Credential
from gateway.identities.keys import generate

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


class Root:
    """A root of trust: issues certificates and revocation lists."""

    def __init__(self, name: str = "ca.hospital.example", begin: datetime = NOW - timedelta(days=400)) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            self._builder(self.name, self.key.public_key(), begin, begin + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def _builder(self, subject: x509.Name, key: Any, begin: datetime, end: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    def issue(
        self,
        key: Any,
        name: str = "gateway",
        *,
        begin: datetime = NOW,
        lifetime: timedelta = timedelta(days=90),
        san: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        """A member's certificate for a public key."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = self._builder(subject, key, begin, begin + lifetime).add_extension(issuer, critical=False)
        if san is not None:
            builder = builder.add_extension(san, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def member(self, name: str = "gateway", *, algorithm: str = "p256", **options: Any) -> Credential:
        """A whole identity."""
        key = generate(algorithm)
        certificate = self.issue(key.public_key(), name, **options)
        return Credential("HospitalMSP", certificate, key, (self.certificate,), NOW)

    def crl(
        self, *revoked: int, at: datetime = NOW, lifetime: timedelta | None = timedelta(hours=24), key: Any = None
    ) -> bytes:
        """A revocation list as PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(at)
        builder = builder.next_update(at + (lifetime or timedelta(hours=1)))
        for serial in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            )
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


@dataclass
class FakeCa:
    """A CA that checks what clients send with code of its own. `trouble` replaces an answer; `lie` changes one."""

    root: Root
    secrets: dict[str, str] = field(default_factory=lambda: {"admin": "adminpw-1234"})
    begin: datetime = NOW - timedelta(minutes=5)
    lifetime: timedelta = timedelta(days=365)
    requests: list[SimpleNamespace] = field(default_factory=list)
    issued: list[x509.Certificate] = field(default_factory=list)
    revoked: set[int] = field(default_factory=set)
    listed_at: datetime = NOW
    trouble: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
    lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda result: result
    url: str = ""

    def answer(self, method: str, path: str, body: bytes, authorization: str) -> tuple[int, Any]:
        """Status and result, or (code, message) of an error."""
        endpoint = path.removeprefix("/api/v1/").partition("?")[0]
        asked = json.loads(body) if body else {}
        self.requests.append(SimpleNamespace(method=method, path=path, body=asked, authorization=authorization))
        if endpoint == "cainfo":
            return 200, {**self.info(), "Version": "1.5.21"}
        if endpoint == "enroll":
            return self.enrol(asked, *base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":", 1))
        caller = self.authenticated(method, path, body, authorization)
        if caller is None:
            return 401, (20, "Authentication failure")
        return self.authorised(endpoint, method, asked, caller)

    def authorised(self, endpoint: str, method: str, asked: dict[str, Any], caller: str) -> tuple[int, Any]:
        match method, endpoint:
            case "POST", "reenroll":
                return self.certify(asked, caller)
            case "POST", "register":
                if asked["id"] in self.secrets:
                    return 409, (74, f"Identity '{asked['id']}' is already registered")
                self.secrets[asked["id"]] = asked.get("secret") or "made-by-the-ca"
                return 200, {"secret": self.secrets[asked["id"]]}
            case "POST", "gencrl":
                return 200, {"CRL": base64.b64encode(self.root.crl(*self.revoked, at=self.listed_at)).decode()}
            case "POST", "revoke":
                found = [each for each in self.issued if self.revokes(asked, each)]
                self.revoked |= {each.serial_number for each in found}
                crl = base64.b64encode(self.root.crl(*self.revoked, at=self.listed_at)).decode()
                named = [{"Serial": f"{each.serial_number:x}", "AKI": "aa"} for each in found]
                return 200, {"RevokedCerts": named or None, "CRL": crl if asked["gencrl"] and found else ""}
            case "GET", "identities":
                attrs = [{"name": "role", "value": "r", "ecert": True}]
                known = {"type": "client", "affiliation": "hospital", "max_enrollments": -1, "attrs": attrs}
                return 200, {"identities": [{"id": name, **known} for name in sorted(self.secrets)]}
            case "GET", "certificates":
                pems = [each.public_bytes(Encoding.PEM).decode() for each in self.issued]
                return 200, {"certs": [{"PEM": pem} for pem in pems], "caname": ""}
            case "PUT", _:
                self.secrets[endpoint.removeprefix("identities/")] = asked["secret"]
                return 200, {}
        return 404, (0, "no such thing here")

    def revokes(self, asked: dict[str, Any], certificate: x509.Certificate) -> bool:
        if "serial" in asked:
            return asked["serial"] == f"{certificate.serial_number:x}"
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return bool(asked["id"] == names[0].value)

    def enrol(self, asked: dict[str, Any], name: str, secret: str) -> tuple[int, Any]:
        if self.secrets.get(name) != secret:
            return 401, (20, f"Authentication failure of {name}:{secret}")
        return self.certify(asked, name)

    def certify(self, asked: dict[str, Any], name: str) -> tuple[int, Any]:
        request = x509.load_pem_x509_csr(asked["certificate_request"].encode())
        assert request.is_signature_valid
        if request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value != name:
            return 403, (77, "The CSR subject common name must equal the enrollment ID")
        certificate = self.root.issue(request.public_key(), name, begin=self.begin, lifetime=self.lifetime)
        self.issued.append(certificate)
        cert = base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()
        return 201, {"Cert": cert, "ServerInfo": self.info()}

    def info(self) -> dict[str, Any]:
        return {"CAName": "ca.hospital.example", "CAChain": base64.b64encode(self.root.pem).decode()}

    def authenticated(self, method: str, path: str, body: bytes, token: str) -> str | None:
        """The name of the caller, if his token is right: written from Fabric CA's rules, not from our client."""
        cert64, _, signature64 = token.partition(".")
        pem = base64.b64decode(cert64)
        text = ".".join(
            (method, base64.b64encode(path.encode()).decode(), base64.b64encode(body).decode(), cert64)
        ).encode()
        certificate = x509.load_pem_x509_certificate(pem)
        if certificate.serial_number in self.revoked:
            return None
        key: Any = certificate.public_key()
        signature = base64.b64decode(signature64)
        digest = hashlib.sha256(text).digest()
        try:
            certificate.verify_directly_issued_by(self.root.certificate)
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, digest)
            else:
                if key.curve.name == "secp256r1" and decode_dss_signature(signature)[1] > P256_ORDER // 2:
                    return None
                key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        except Exception:
            return None
        return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _handler(fake: FakeCa) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if fake.trouble(self):
                self.close_connection = True
                return
            status, result = fake.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            if status >= 400:
                errors = [{"code": result[0], "message": result[1]}]
                envelope = {"result": "", "errors": errors, "messages": [], "success": False}
            else:
                envelope = {"result": fake.lie(result), "errors": [], "messages": [], "success": True}
            self.send(status, json.dumps(envelope).encode())

        def send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = serve  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    return Handler


@pytest.fixture(scope="session")
def root() -> Root:
    return Root()


@pytest.fixture
def fake(root: Root) -> Iterator[FakeCa]:
    """A fake CA that is being served."""
    made = FakeCa(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ca(fake: FakeCa, root: Root) -> Iterator[FabricCa]:
    """A client of the fake CA that pins its root."""
    with FabricCa(
        fake.url, None, name="ca.hospital.example", root=root.certificate, timeout=2.0, clock=lambda: NOW
    ) as client:
        yield client


@pytest.fixture
def admin(ca: FabricCa) -> Credential:
    return ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP")


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What tests build worlds of their own with."""
    return SimpleNamespace(
        Root=Root, FakeCa=FakeCa, NOW=NOW, vectors=Path(__file__).parent / "vectors", sleep=time.sleep
    )
