# SPDX-License-Identifier: Apache-2.0
"""DSSE envelopes with one signature, taken apart and checked against a certificate and an MSP that the caller has."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chaincode.crypto import check_signature
from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from gateway.fabric.certificates import Certificate
from gateway.fabric.errors import InvalidIdentity
from gateway.fabric.mspfolder import msp_from_folder
from gateway.fabric.texts import said

_MOST_SIGNATURES: Final = 8


class RefutedStatement(Exception):
    """It is not a signed statement, or what was given contradicts it; the text says why."""


def open_envelope(value: Any, largest: int) -> tuple[bytes, bytes]:
    """Payload (at most `largest` bytes) and signature of an envelope with one signature; raises `RefutedStatement`."""
    if not isinstance(value, Mapping):
        raise RefutedStatement("the field /envelope must be an object")
    if value.get("payloadType") != PAYLOAD_TYPE:
        raise RefutedStatement(f"its payloadType is not {PAYLOAD_TYPE}")
    signatures = value.get("signatures")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= _MOST_SIGNATURES:
        raise RefutedStatement("the field /signatures must be a list of signatures")
    if len(signatures) != 1 or not isinstance(signatures[0], Mapping):
        raise RefutedStatement("it must bear one signature, that of its submitter")
    payload = _base64(value, "payload")
    if len(payload) > largest:
        raise RefutedStatement(f"its payload has more than {largest} bytes")
    return payload, _base64(signatures[0], "sig")


def prove_signer(
    payload: bytes,
    signature: bytes,
    organisation: str,
    certificate: Certificate,
    msp: Path | None,
    whose: str = "your certificate",
) -> list[str]:
    """What the signature shows, in sentences.

    Raises `RefutedStatement` where the certificate's key did not sign, or the MSP of the organisation that speaks does
    not vouch for it, and `MalformedData` for a folder that is not an MSP.
    """
    try:
        check_signature(certificate.public_key, pre_authentication_encoding(PAYLOAD_TYPE, payload), signature)
    except LedgerError:
        raise RefutedStatement(f"the key of {certificate.name} did not sign it") from None
    serial = f"{certificate.serial:x}"
    proven = [f"The key of {whose} signed exactly this statement: {certificate.name}, serial number {serial}."]
    if msp is not None:
        try:
            msp_from_folder(organisation, msp).accept(certificate, b"")
        except InvalidIdentity as exc:
            raise RefutedStatement(f"the certificate is not one of {said(organisation)}: {exc}") from None
        proven.append(
            f"It is a certificate of {said(organisation)} by the MSP that you gave: issued under one of its"
            " roots, and on none of its revocation lists."
        )
    return proven


def _base64(value: Mapping[str, Any], name: str) -> bytes:
    found = value.get(name)
    try:
        if not isinstance(found, str):
            raise ValueError
        return base64.b64decode(found, validate=True)
    except ValueError:
        raise RefutedStatement(f"its {name} must be base64") from None
