# SPDX-License-Identifier: Apache-2.0
"""Signed statements as evidence: an in-toto Statement in a DSSE envelope, signed by whoever submits it."""

from dataclasses import dataclass, field
from enum import StrEnum

from chaincode.domain.values import (
    Blob,
    Digest,
    Text,
)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://pedigree.example/endorsement/v1"


class Decision(StrEnum):
    """What an organisation says of an artifact."""

    ENDORSE = "endorse"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of a DSSE envelope; the key id is a hint and is not relied on."""

    sig: Blob
    keyid: Text | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope; its JSON names are those of the DSSE specification."""

    payload: Blob
    payload_type: Text = field(metadata={"name": "payloadType"})
    signatures: tuple[Signature, ...] = field(metadata={"max": 8})


@dataclass(frozen=True, slots=True)
class Statement:
    """The part of an in-toto Statement v1 that an endorsement relies on."""

    statement_type: str
    predicate_type: str
    digests: tuple[Digest, ...]
    """The SHA-256 of every subject."""
    artifact: str
    stage: str
    decision: str
