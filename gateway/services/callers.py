# SPDX-License-Identifier: Apache-2.0
"""Who calls: one client for what a request was proven with, or a refusal that says what would do.

A client has an id, which its idempotency keys belong to, a name and a role. The operator of the gateway registers it
with an API key or a certificate, or an issuer that the operator named gives it access tokens.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.services.failures import Category, PortError
from gateway.services.rates import Rate

_LONGEST_KEY = 512


class Unrecognised(PortError):
    """What a request brings does not prove that a client of this gateway sends it; `code` says why not."""

    code = "unauthenticated"
    category = Category.UNIDENTIFIED

    def __init__(self, message: str, /, *, code: str = "unauthenticated") -> None:
        super().__init__(message)
        self.code = code


class RoleMissing(PortError):
    """An access token is right and gives no role here."""

    code = "no-role"
    category = Category.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that proved who it is."""

    id: str
    name: str
    role: str
    rate: Rate | None = None
    """Of its own, instead of that which every client has."""
    scopes: frozenset[str] | None = None
    """What it may do, of what its role may; `None` where that is all."""
    owners: frozenset[str] | None = None
    """MSP ids of those whose records it may see; `None` where it may see everybody's."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The head of a request that brings a signature (RFC 9421)."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    has_body: bool


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request is to be proven with."""

    bearer: str | None = None
    """The word behind `Bearer`; `None` where there is none."""
    certificate: bytes | None = None
    """The certificate (DER) that TLS has verified, and of which the client has the key."""
    signed: SignedHead | None = None
    """The head of the request, where it is signed."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """An access token whose signature, issuer, audience and time were verified."""

    caller: Caller
    thumbprint: bytes | None
    """SHA-256 of the client certificate (DER) that it is bound to; `None` where it is bound to none."""


class Signatures(Protocol):
    """Verifies signed requests."""

    def key_id(self, head: SignedHead) -> str: ...
    def verify(self, head: SignedHead, public_key: bytes, client: str) -> None: ...


class Tokens(Protocol):
    """Verifies access tokens of an issuer."""

    def takes(self, word: str) -> bool: ...
    def verify(self, word: str) -> VerifiedToken: ...


class Registered(Protocol):
    """What a registry says of a client."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def expires(self) -> float | None: ...
    @property
    def rate(self) -> Rate | None: ...
    @property
    def scopes(self) -> frozenset[str] | None: ...
    @property
    def owners(self) -> frozenset[str] | None: ...


class Signer(Registered, Protocol):
    """A client that signs its requests."""

    @property
    def public_key(self) -> bytes | None: ...


class Registry(Protocol):
    """The clients that the operator of a gateway registered."""

    def recognise_signer(self, client: str) -> Signer | None: ...

    def recognise(self, presented: str) -> Registered | None: ...
    def recognise_certificate(self, names: Sequence[str]) -> Registered | None: ...


class Certificate(Protocol):
    """What is read of a certificate."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def begins(self) -> float: ...
    @property
    def ends(self) -> float: ...


class Callers:
    """Recognises callers; thread-safe."""

    def __init__(
        self,
        registry: Registry,
        *,
        certificates: Callable[[bytes], Certificate] | None = None,
        tokens: Tokens | None = None,
        signatures: Signatures | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Assign.

        Args:
            certificates: reads a certificate (DER).
            tokens: verifies access tokens; without it none is taken.
            signatures: verifies signed requests; without it none is taken.
        """
        self._registry = registry
        self._certificates = certificates
        self._tokens = tokens
        self._signatures = signatures
        self._clock = clock

    def recognise(self, presented: Presented) -> Caller:
        """The client that a request comes from; raises `Unrecognised`, for a token `RoleMissing` and `Unavailable`.

        Where it brings a certificate and a word or a signature as well, both have to be of one client.
        """
        if presented.signed is not None:
            return self._by_signature(presented, presented.signed)
        if self._tokens is not None and presented.bearer is not None and self._tokens.takes(presented.bearer):
            return self._by_token(self._tokens.verify(presented.bearer), presented.certificate)
        certified = None if presented.certificate is None else self._by_certificate(presented.certificate)
        if presented.bearer is None and certified is not None:
            return certified
        found = self._by_key(presented.bearer or "")
        if certified is not None and certified.id != found.id:
            raise Unrecognised(
                "The key and the client certificate are of two clients; send one of them.", code="credentials-disagree"
            )
        return found

    def _by_signature(self, presented: Presented, head: SignedHead) -> Caller:
        if presented.bearer is not None:
            raise Unrecognised("A signed request brings no key or token besides.", code="credentials-disagree")
        if self._signatures is None:
            raise Unrecognised("This gateway takes no signed requests.")
        found = self._registry.recognise_signer(self._signatures.key_id(head))
        if found is None or found.public_key is None:
            raise Unrecognised("No client of this gateway that signs its requests has the keyid of the signature.")
        self._signatures.verify(head, found.public_key, found.id)
        caller = self._current(found, "public key")
        if presented.certificate is not None and self._by_certificate(presented.certificate).id != caller.id:
            raise Unrecognised(
                "The signature and the client certificate are of two clients.", code="credentials-disagree"
            )
        return caller

    def _by_token(self, token: VerifiedToken, certificate: bytes | None) -> Caller:
        shown = None if certificate is None else hashlib.sha256(certificate).digest()
        if shown != token.thumbprint:
            raise Unrecognised(
                "The access token is bound to another client certificate than TLS has seen, or to none.",
                code="credentials-disagree",
            )
        return token.caller

    def _by_key(self, key: str) -> Caller:
        found = self._registry.recognise(key) if len(key) < _LONGEST_KEY else None
        if found is None:
            raise Unrecognised("A valid API key is needed: Authorization: Bearer id.secret")
        return self._current(found, "API key")

    def _by_certificate(self, content: bytes) -> Caller:
        if self._certificates is None:
            raise Unrecognised("This gateway takes no client certificates.", code="unknown-certificate")
        try:
            read = self._certificates(content)
        except ValueError:
            raise Unrecognised("The client certificate cannot be read.", code="unknown-certificate") from None
        if not read.begins <= self._clock() < read.ends:
            raise Unrecognised("The client certificate is not valid now.", code="credential-expired")
        found = self._registry.recognise_certificate(read.names)
        if found is None:
            raise Unrecognised(
                f"The client certificate {read.names[0]} is registered for no client here; its operator can do so: "
                "pedigree keys add NAME --certificate FILE",
                code="unknown-certificate",
            )
        return self._current(found, "registration of this certificate")

    def _current(self, found: Registered, what: str) -> Caller:
        if found.expires is not None and self._clock() >= found.expires:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.expires))
            raise Unrecognised(f"The {what} expired at {at}; its operator can renew it.", code="credential-expired")
        return Caller(found.id, found.name, found.role, found.rate, found.scopes, found.owners)
