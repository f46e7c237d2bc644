# SPDX-License-Identifier: Apache-2.0
"""Reads under a grant that needs no transaction for each: what the owner keeps of one, and the root over many.

A grant that is `batched` lets its owner's gateway decide reads by itself, by the rules of `attempting.objection`, once
an attempt on the ledger was allowed. It keeps every read, the denied ones too, and commits to the list with an
`AccessBatch`: leaf i is the canonical JSON of read i, in the order in which they were kept (RFC 6962, section 2.1).
Anyone who is given a read and its path can show that it was in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chaincode.domain import merkle
from chaincode.domain.access import AccessAction
from chaincode.domain.attempting import AccessBatch, AccessDecision
from chaincode.domain.errors import InclusionProofFails
from chaincode.domain.grants import Reason
from chaincode.domain.values import Answer, Count, Digest, Instant, Iri, Name, OrgId, Ref


class ReadPart(StrEnum):
    """What was read."""

    CONTENT = "content"
    """Bytes of the sealed data."""
    BUNDLE = "bundle"
    """What a copy is compared by, all of it."""


@dataclass(frozen=True, slots=True)
class AccessRead(Answer):
    """A read and its decision, as the data's owner keeps it; its canonical JSON is a leaf of a list."""

    attempt: Digest
    """The attempt on the ledger with which the reading began."""
    grant: Name
    by: OrgId
    at: Instant
    """When, by the clock of the owner's gateway."""
    artifact: Ref
    action: AccessAction
    purpose: Iri
    part: ReadPart
    start: Count
    """The first byte of it that was asked for."""
    stop: Count
    """The first that was not."""
    decision: AccessDecision
    reason: Reason | None
    """Why it was denied; None where it was allowed."""


def verify_read(leaf: bytes, index: int, path: Sequence[bytes], batch: AccessBatch) -> None:
    """Show that a leaf has this place in the list that a batch commits to; raises `InclusionProofFails`."""
    try:
        merkle.verify_inclusion(merkle.leaf_hash(leaf), index, batch.size, path, batch.root)
    except merkle.ProofError as exc:
        raise InclusionProofFails(str(exc)) from None
