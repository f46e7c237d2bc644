# SPDX-License-Identifier: Apache-2.0
"""What the use cases need of who signs for the organisation."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature and the certificate that it is checked with; the next one may be made with another."""

    value: bytes
    """ECDSA over SHA-256, DER with low S."""
    certificate: bytes
    """PEM."""
    fingerprint: str
    """SHA-256 of the certificate's DER, in hex: what the list of transactions calls an identity by."""


class Signer(Protocol):
    """The organisation's own signing key (its gateway user): signs statements that others check offline."""

    def sign(self, message: bytes) -> Signature:
        """Sign `message` with the identity that is in use now."""
        ...


@dataclass(frozen=True, slots=True)
class ToSign:
    """A message of a transaction that is signed elsewhere."""

    transaction_id: str
    content: bytes
    """Serialised with all that the next step needs."""
    digest: bytes
    """What is signed."""
    reply: dict[str, Any] | None = None
    """What the chaincode answered, of an endorsed transaction."""
