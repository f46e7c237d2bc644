# SPDX-License-Identifier: Apache-2.0
"""What the stages of a transaction share: the calls, who signs and how, and whom to trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from gateway.fabric.calls import Calls
from gateway.fabric.errors import SigningError
from gateway.fabric.identity import Hash, Identity, Sign
from gateway.fabric.messages import Creator
from gateway.fabric.verify import Trust

__all__ = ["Session"]


@dataclass(frozen=True, slots=True)
class Session:
    """One client identity on one connection; immutable and so shared by threads without locks."""

    calls: Calls
    identity: Identity
    creator: Creator
    signer: Sign | None
    """None when every message is signed elsewhere."""
    digest: Hash
    trust: Trust | None
    """None when the caller chose not to verify."""
    tls_client_certificate_hash: bytes
    clock: Callable[[], int]
    """Nanoseconds since 1970, UTC."""

    def check(self, message: bytes, signature: bytes) -> None:
        """Raises `SigningError` unless the identity's own key made a signature over `message` that peers take.

        `InvalidIdentity` where the pinned members do not vouch for it; `ValueError` where none were pinned.
        """
        if self.trust is None:
            raise ValueError("no members were pinned")
        try:
            self.trust.msps.member(self.identity.serialized).verify(message, signature)
        except InvalidSignature:
            raise SigningError("the certificate's key did not sign it, or not with a low S") from None

    def sign(self, message: bytes) -> bytes:
        """The signature over `message`; raises `SigningError` without a signer."""
        if self.signer is None:
            raise SigningError("the message is not signed and the gateway has no signer")
        return self.signer(self.digest(message))
