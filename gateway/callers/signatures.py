# SPDX-License-Identifier: Apache-2.0
"""Requests signed by their clients (RFC 9421), instead of a word that is sent along: each signature counts once.

A client is registered with a public key, and names itself by `keyid`. What has to be covered, how old a signature may
be, and that it has a nonce, is said here; the library builds and verifies the signature base.
"""

import datetime
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import http_sf
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from gateway.services.callers import SignedHead, Unrecognised
from gateway.services.failures import Unavailable

TAG: Final = "pedigree"
"""What a signature's `tag` must be: one that was made for something else is not taken."""
OLDEST: Final = 300
"""Seconds after which a signature counts no more."""
SKEW: Final = 5
"""Seconds by which the client's clock may be ahead."""
_LONGEST_NONCE = 100
_LEAST_RSA = 2048
_NONCES = 100_000
_LONGEST = 32 * 1024
_TARGETS = ({"@target-uri"}, {"@authority", "@path", "@query"})
"""What may say where a request goes: behind a proxy with TLS, the gateway does not see the scheme."""
_MEANING = ("content-type", "content-digest", "idempotency-key", "endorsing-organisations", "prefer", "range")
"""Fields that have to be covered where they are sent."""
_INVALID = "The signature of the request is not one that a client of this gateway made for it, or it was used before."


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the library reads it."""

    method: str
    url: str
    headers: Any


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, key: Any) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:
        return self._key


class Nonces(Protocol):
    """Remembers which signatures were used; thread-safe."""

    def use(self, name: bytes, seconds: float) -> bool:
        """Take a name for so many seconds; False where it is taken. Raises `Unavailable` where it cannot be kept."""
        ...


class NoncesInMemory:
    """Implements `Nonces` for one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def use(self, name: bytes, seconds: float) -> bool:
        now = self._clock()
        with self._lock:
            while self._used and next(iter(self._used.values())) <= now:
                self._used.popitem(last=False)
            if name in self._used:
                return False
            if len(self._used) >= _NONCES:
                raise Unavailable("Too many signed requests came lately.", code="capacity", retry_after=10)
            # In the order in which they are forgotten: all are kept equally long.
            self._used[name] = now + seconds
            return True


class Signatures:
    """Verifies signed requests; thread-safe.

    Which nonces were used is kept for as long as a signature counts. One that was made before this process began is
    refused: a former process may have seen it, whose memory is gone.
    """

    def __init__(self, nonces: Nonces | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Assign.

        Args:
            nonces: shared with the other gateways of the organisation; without it they are in memory.
        """
        self._nonces = nonces or NoncesInMemory(clock)
        self._began = clock()

    def key_id(self, head: SignedHead) -> str:
        """Which client a request says that it is of; raises `Unrecognised`. Nothing of it is believed yet."""
        if sum(len(name) + len(value) for name, value in head.headers) > _LONGEST:
            raise Unrecognised(_INVALID)
        return _keyid_of(head)

    def verify(self, head: SignedHead, public_key: bytes, client: str) -> None:
        """Verify the signature with a client's public key (SubjectPublicKeyInfo, DER).

        Raises `Unrecognised`, also for one that was used before, and `Unavailable` where too many are remembered.
        """
        key = load_der_public_key(public_key)
        verifier = HTTPMessageVerifier(signature_algorithm=_algorithm(key), key_resolver=_OneKey(key))
        message = _Message(head.method, head.url, dict(_combined(head.headers)))
        try:
            results = verifier.verify(
                message,
                max_age=datetime.timedelta(seconds=OLDEST),
                expect_tag=TAG,
                require_components=_required(head),
            )
            covered = {name.strip('"') for name in results[0].covered_components}
        except (HTTPMessageSignaturesException, ValueError, TypeError, KeyError, RecursionError):
            raise Unrecognised(_INVALID) from None
        if len(results) != 1 or not any(covered.issuperset(target) for target in _TARGETS):
            raise Unrecognised(_INVALID)
        parameters = results[0].parameters
        created, nonce = int(parameters["created"]), parameters.get("nonce")
        if not isinstance(nonce, str) or not 8 <= len(nonce) <= _LONGEST_NONCE or created < int(self._began):
            raise Unrecognised(_INVALID)
        self._use(client, nonce)

    def _use(self, client: str, nonce: str) -> None:
        # As long as the youngest signature that can come now.
        if not self._nonces.use(hashlib.sha256(f"{client}\0{nonce}".encode()).digest(), OLDEST + 2 * SKEW + 1):
            raise Unrecognised(_INVALID)


def _keyid_of(head: SignedHead) -> str:
    fields = dict(_combined(head.headers))
    try:
        said: Any = http_sf.parse(fields.get("signature-input", "").encode(), tltype="dictionary")
        found = [parameters.get("keyid") for _, parameters in said.values() if parameters.get("tag") == TAG]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Unrecognised(_INVALID) from None
    if len(found) != 1 or not isinstance(found[0], str):
        raise Unrecognised(f'A signed request has one signature with tag="{TAG}" and the keyid of its client.')
    return found[0]


def _combined(headers: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Each field once, in lower case, with its values in their order (RFC 9421, 2.1)."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value.strip())
    return [(name, ", ".join(values)) for name, values in found.items()]


def _required(head: SignedHead) -> Sequence[str]:
    """What a signature has to cover: what the request is for, and every field that says what it does."""
    names = {name.lower() for name, _ in head.headers}
    wanted = ["@method"]
    wanted += [name for name in _MEANING if name in names]
    if head.has_body and "content-digest" not in wanted:
        wanted.append("content-digest")
    return wanted


def check_public_key(content: bytes) -> None:
    """Refuse a key (SubjectPublicKeyInfo, DER) of which no signatures are taken; raises `ValueError`."""
    key = load_der_public_key(content)
    try:
        _algorithm(key)
    except Unrecognised:
        raise ValueError("no signatures are taken of such a key") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA:
        raise ValueError("its key is too short")


def _algorithm(key: Any) -> Any:
    match key:
        case ed25519.Ed25519PublicKey():
            return algorithms.ED25519
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return algorithms.ECDSA_P256_SHA256
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP384R1):
            return algorithms.ECDSA_P384_SHA384
        case rsa.RSAPublicKey():
            return algorithms.RSA_PSS_SHA512
    raise Unrecognised(_INVALID)
