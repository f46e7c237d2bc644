# SPDX-License-Identifier: Apache-2.0
"""Requests that their clients sign: which are taken, once each, and which never are."""

import datetime
import http.client
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import ContentDigest, HTTPMessageSigner, MappingKeyResolver, algorithms

from gateway.callers import signatures
from gateway.callers.signatures import Signatures
from gateway.cli.program import main
from gateway.services.callers import SignedHead, Unrecognised
from gateway.services.failures import Unavailable

KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "ed25519": (ed25519.Ed25519PrivateKey.generate, algorithms.ED25519),
    "p256": (lambda: ec.generate_private_key(ec.SECP256R1()), algorithms.ECDSA_P256_SHA256),
    "p384": (lambda: ec.generate_private_key(ec.SECP384R1()), algorithms.ECDSA_P384_SHA384),
    "rsa": (lambda: rsa.generate_private_key(65537, 2048), algorithms.RSA_PSS_SHA512),
}
COVERED = ("@method", "@target-uri")
MODEL = b'{"model":"signed","title":"Net"}'


@dataclass
class Message:
    """A request as the library signs it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Client:
    """A registered client with its private key."""

    id: str
    key: Any
    algorithm: Any
    port: int

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        covered: tuple[str, ...] = COVERED,
        created: float | None = None,
        altered: Callable[[Message], None] = lambda _: None,
        sent: bytes | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> tuple[int, Any]:
        return self.send(self.signed(method, path, body, covered=covered, created=created, headers=headers, **more),
                         body if sent is None else sent, path, altered)  # fmt: skip

    def signed(
        self, method: str, path: str, body: bytes | None, *, covered: tuple[str, ...], created: float | None,
        headers: dict[str, str] | None, **more: Any,
    ) -> Message:  # fmt: skip
        message = Message(method, f"http://127.0.0.1:{self.port}{path}", {"Host": f"127.0.0.1:{self.port}"})
        if body is not None:
            message.headers |= {"Content-Type": "application/json", "Content-Digest": ContentDigest.create(body)}
            message.headers |= {"Idempotency-Key": secrets.token_hex(8)}
            covered = (*covered, "content-type", "content-digest", "idempotency-key")
        message.headers |= headers or {}
        signer = HTTPMessageSigner(
            signature_algorithm=self.algorithm,
            key_resolver=MappingKeyResolver(public_keys={}, private_keys={self.id: self.key}),
        )
        at = datetime.datetime.fromtimestamp(time.time() if created is None else created, tz=datetime.UTC)
        said = {"tag": "pedigree", "nonce": secrets.token_urlsafe(16), "key_id": self.id, **more}
        covered = tuple(dict.fromkeys(each for each in covered if each not in more.get("without", ())))
        said.pop("without", None)
        signer.sign(message, covered_component_ids=covered, created=at, use_existing_digest=body is not None, **said)
        return message

    def send(
        self, message: Message, body: bytes | None, path: str, altered: Callable[[Message], None] = lambda _: None
    ) -> tuple[int, Any]:
        altered(message)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(message.method, path, body, message.headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any]) -> Any:
    return start_memory_gateway()


@pytest.fixture(scope="module")
def register(gateway: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Client]:
    folder = tmp_path_factory.mktemp("keys")

    def made(name: str, kind: str = "p256", role: str = "recorder") -> Client:
        generate, algorithm = KINDS[kind]
        key = generate()
        file = folder / f"{name}.pem"
        file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        words = ["keys", "add", name, "--role", role, "--public-key", str(file), "--data", str(gateway.folder)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        return Client(done.stdout.strip(), key, algorithm, gateway.port)

    return made


@pytest.fixture(scope="module")
def client(register: Callable[..., Client]) -> Client:
    time.sleep(1.1)  # a signature must be younger than the gateway
    return register("signer")


@pytest.mark.parametrize("kind", KINDS)
def test_signed_requests_of_every_kind_of_key_are_taken(register: Callable[..., Client], kind: str) -> None:
    time.sleep(1.1)
    own = register(f"kind-{kind}", kind)
    assert own.request("GET", "/v1/ledger")[0] == 200
    status, answer = own.request("POST", "/v1/models", json.dumps({"model": f"by-{kind}", "title": "Net"}).encode())
    assert (status, answer["record"]["model"]) == (201, f"by-{kind}")
    status, answer = own.request("GET", "/v1/audit")
    assert (status, answer["code"]) == (403, "role-too-low")


def test_the_target_may_be_covered_without_its_scheme(client: Client) -> None:
    assert client.request("GET", "/v1/models?limit=3", covered=("@method", "@authority", "@path", "@query"))[0] == 200


def test_an_upload_is_held_to_its_digest(client: Client, gateway: Any) -> None:
    rows = b"id,x\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(50_000))
    path, before = "/v1/datasets/signed/versions?id_field=id", gateway.height
    csv = {"Content-Type": "text/csv"}
    status, answer = client.request("POST", path, rows, headers=csv, sent=rows[:-2] + b"7\n")
    assert (status, answer["code"]) == (400, "digest-mismatch")
    assert gateway.height == before
    assert client.request("POST", path, rows, headers=csv)[0] == 201


def changed(name: str, value: str) -> Callable[[Message], None]:
    return lambda message: message.headers.__setitem__(name, value)


def without(name: str) -> Callable[[Message], None]:
    return lambda message: message.headers.pop(name, None) and None


NEVER: dict[str, dict[str, Any]] = {
    "another tag": {"tag": "else"},
    "no nonce": {"nonce": None},
    "short nonce": {"nonce": "x"},
    "long nonce": {"nonce": "x" * 101},
    "too old": {"created": time.time() - 400},
    "in the future": {"created": time.time() + 600},
    "expired": {"expires": datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=30)},
    "method not covered": {"covered": ("@target-uri",)},
    "target not covered": {"covered": ("@method", "@path")},
    "key not covered": {"without": ("idempotency-key",)},
    "digest not covered": {"without": ("content-digest",)},
    "media type not covered": {"without": ("content-type",)},
    "another idempotency key": {"altered": changed("Idempotency-Key", "other")},
    "no signature": {"altered": without("Signature")},
    "broken signature": {"altered": changed("Signature", "pyhms=:AAAA:")},
    "nonsense": {"altered": changed("Signature-Input", "((((")},
    "a field that says more": {"altered": changed("Prefer", "respond-async")},
    "another host": {"altered": changed("Host", "elsewhere.example")},
}


@pytest.mark.parametrize("how", NEVER.values(), ids=NEVER)
def test_what_is_never_taken(client: Client, gateway: Any, how: dict[str, Any]) -> None:
    before = gateway.height
    status, answer = client.request("POST", "/v1/models", MODEL, **how)
    assert (status, answer["code"]) == (401, "unauthenticated"), answer
    assert gateway.height == before
    assert gateway.failures() == ""


def test_a_signature_counts_once_and_for_its_own_target(client: Client, gateway: Any) -> None:
    message = client.signed("GET", "/v1/ledger", None, covered=COVERED, created=None, headers=None)
    assert client.send(message, None, "/v1/models")[0] == 401
    assert client.send(message, None, "/v1/ledger")[0] == 200
    assert client.send(message, None, "/v1/ledger")[0] == 401


def test_anothers_key_an_unknown_one_and_a_second_credential_are_refused(
    register: Callable[..., Client], client: Client, gateway: Any
) -> None:
    other = register("other-signer")
    stolen = Client(client.id, other.key, other.algorithm, other.port)
    assert stolen.request("GET", "/v1/ledger")[0] == 401
    assert Client("nobody", other.key, other.algorithm, other.port).request("GET", "/v1/ledger")[0] == 401
    both = changed("Authorization", f"Bearer {gateway.keys['operator']}")
    assert client.request("GET", "/v1/ledger", altered=both)[1]["code"] == "credentials-disagree"
    CliRunner().invoke(main, ["keys", "revoke", "other-signer", "--data", str(gateway.folder)])
    assert other.request("GET", "/v1/ledger")[0] == 401


def test_a_body_without_a_digest_is_refused(client: Client) -> None:
    status, answer = client.request("POST", "/v1/models", MODEL, altered=without("Content-Digest"))
    assert (status, answer["code"]) == (400, "invalid-header")


def test_a_signature_from_before_the_process_and_nonces_without_end_are_refused(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    message = client.signed("GET", "/v1/ledger", None, covered=COVERED, created=None, headers=None)
    head = SignedHead("GET", message.url, tuple(message.headers.items()), has_body=False)
    public = client.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    later = Signatures(clock=lambda: time.time() + 10)
    with pytest.raises(Unrecognised):
        later.verify(head, public, "a")
    monkeypatch.setattr(signatures, "_NONCES", 1)
    now = [time.time() - 60]
    few = Signatures(clock=lambda: now[0])
    few.verify(head, public, "a")
    with pytest.raises(Unavailable):
        few.verify(head, public, "b")
    now[0] += 400
    few.verify(head, public, "b")


def test_a_key_of_which_no_signatures_are_taken_is_refused(tmp_path: Path, gateway: Any) -> None:
    for key in (ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 1024)):
        file = tmp_path / "key.pem"
        file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        words = ["keys", "add", "odd", "--role", "reader", "--public-key", str(file), "--data", str(gateway.folder)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code != 0
        assert "holds no public key of" in done.output
