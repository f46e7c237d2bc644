# SPDX-License-Identifier: Apache-2.0
"""Persons of the organisation, who sign with keys of their own: which of their certificates count, and for whom."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from chaincode.domain.errors import InvalidField
from gateway.fabric import FabricError, Gateway, Identity
from gateway.fabric.certificates import load_certificate
from gateway.fabric.errors import MalformedData
from gateway.fabric.texts import said
from gateway.services.ports import Forbidden, IdentityExpired

_FIELD = "/certificate"


def certificate_of(text: bytes) -> bytes:
    """The certificate in a text, in PEM and alone: every message carries it, and the ledger keeps it.

    Raises `InvalidField` where there is none, and for a text that holds a private key.
    """
    if b"PRIVATE KEY-----" in text:
        raise InvalidField(_FIELD, "it holds a private key, which is to stay where it is: give the certificate alone")
    try:
        return ssl.DER_cert_to_PEM_cert(load_certificate(text, "it").der).encode()
    except MalformedData as exc:
        raise InvalidField(_FIELD, f"it must be a certificate in PEM: {said(str(exc))}") from None


def standing(gateway: Gateway) -> Gateway:
    """The same connection, for a person whose certificate counts now; raises `InvalidField` for another one's."""
    identity: Identity = gateway.identity
    try:
        gateway.check_identity()
    except FabricError as exc:
        why = f"it is not a certificate of {identity.mspid} that counts: {said(str(exc))}"
        raise InvalidField(_FIELD, why) from None
    certificate = identity.certificate
    # Peers go on to accept what an ended certificate signed before; what it signs now is accepted by none.
    if certificate is not None and certificate.not_valid_after_utc < datetime.now(UTC):
        raise InvalidField(_FIELD, f"it ended at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    return gateway


@contextmanager
def blamed() -> Iterator[None]:
    """What peers refuse for the sake of who signed is about the person, and not about this gateway's own identity."""
    try:
        yield
    except (Forbidden, IdentityExpired) as exc:
        raise InvalidField(_FIELD, "the channel's peers do not let its holder record anything") from exc
