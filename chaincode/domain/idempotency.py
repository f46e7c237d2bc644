# SPDX-License-Identifier: Apache-2.0
"""Commands that are recorded once: a token names the request, and the ledger remembers which transaction did it.

A gateway derives the id of its transaction from the request, so that the peer itself finds a repeat. That id changes
with the certificate that signs, and the token does not: it finds the repeat after a new enrolment too.
"""

from dataclasses import dataclass

from chaincode.domain.errors import AlreadyRecorded, TokenReused
from chaincode.domain.values import Digest, Instant, OrgId, Record


@dataclass(frozen=True, slots=True)
class Idempotency(Record):
    """That an organisation's command with a token was recorded, and by which transaction; never rewritten."""

    by: OrgId
    token: Digest
    command: Digest
    """The SHA-256 of the command's canonical JSON."""
    transaction: Digest
    at: Instant


def remember(
    token: Digest, *, by: OrgId, at: Instant, command: Digest, transaction: Digest, known: Idempotency | None
) -> Idempotency:
    """What to write beside the outcome of the command with the digest `command`; refuse what was recorded before.

    `known` is what the ledger holds for this organisation and token. Two transactions at once both find nothing; the
    second of them is invalid then, for it has read what the first one writes.
    """
    if known is None:
        return Idempotency(by, token, command, transaction, at)
    if known.command != command:
        raise TokenReused(str(known.transaction))
    raise AlreadyRecorded(str(known.transaction))
