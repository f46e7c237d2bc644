# SPDX-License-Identifier: Apache-2.0
"""What goes wrong at the ports, and what each failure leaves behind.

PortError                     base; `code` is permanent, `facts` are for machines
├─ Refused                    the chaincode said no (its own code); nothing was ordered
├─ NothingOrdered             the attempt failed before ordering; trying again is safe
│  ├─ Unavailable             endorsers, chaincode, peer limit or clock: come back later
│  ├─ EndorsementMismatch     organisations answered differently
│  ├─ EndorsementRefused      other organisations refuse what our own peer does not
│  ├─ TimedOut                the chaincode ran too long
│  └─ Forbidden, IdentityExpired, TooLarge, OrganisationsRequired, LedgerMisuse
├─ AlreadyProposed            this transaction id is in the ledger: look up its outcome
├─ OutcomeUnknown             the envelope may have been ordered: send the *same* one again
└─ StorageFull, StorageFailed, Damaged  the gateway's own disk
"""

from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Category(StrEnum):
    """Of what sort a failure is. Submissions are stored with the values, which therefore do not change."""

    UNREADABLE = "unreadable"
    """What was sent cannot be understood."""
    UNACCEPTABLE = "unacceptable"
    """What was sent is understood, and says something that cannot be accepted."""
    UNIDENTIFIED = "unidentified"
    """The identity that it would be done with does not hold."""
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    """Something else was first, or is under way."""
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    """The caller has its share already."""
    FAULT = "fault"
    """A defect of the gateway."""
    NETWORK = "network"
    """What the gateway depends on answered otherwise than it should."""
    UNAVAILABLE = "unavailable"
    """Something is down, or behind, or its outcome is open: come back later."""
    TIMED_OUT = "timed-out"
    FULL = "full"
    """There is no room left on the disk."""


class PortError(Exception):
    """Base of what a port raises; `code` is permanent and `facts` are safe to show to the caller."""

    code = "port-error"
    category = Category.FAULT
    retryable = False
    """Whether the caller may send the same request again, under the same key."""

    def __init__(self, message: str, /, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Json = facts


class Refused(PortError):
    """The chaincode refused the command; `code` is the law's own and nothing was ordered."""

    category = Category.UNACCEPTABLE

    def __init__(self, message: str, /, *, code: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code = code


class NothingOrdered(PortError):
    """The attempt ended before ordering, so the same command may be tried again at any time."""

    code = "not-ordered"
    category = Category.UNAVAILABLE
    retryable = True
    transient = False
    """Whether the same attempt may succeed a moment later."""
    retries = 0
    """How many times the same attempt is made again at once, after a short pause with jitter."""


class Unavailable(NothingOrdered):
    """Something that is needed is down or full; `code` says which, `retry_after` when to come back (seconds)."""

    transient = True

    def __init__(self, message: str, /, *, code: str, retry_after: int = 1, retries: int = 0, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code = code
        self.retry_after = retry_after
        self.retries = retries


class EndorsementMismatch(NothingOrdered):
    """Endorsing organisations simulated different results: nondeterminism, or peers at different heights."""

    code = "endorsement-mismatch"
    category = Category.NETWORK
    transient = True
    retries = 2


class EndorsementRefused(NothingOrdered):
    """Peers of other organisations refuse what our own does not: they are at another height, or will not endorse.

    `facts["said"]` has their words, which prove nothing.
    """

    code = "endorsement-refused"
    category = Category.NETWORK
    transient = True
    retries = 2


class TimedOut(NothingOrdered):
    """The chaincode exceeded the peer's execution time; nothing was ordered."""

    code = "chaincode-timeout"
    category = Category.TIMED_OUT


class Forbidden(NothingOrdered):
    """The channel does not accept this gateway's identity for this action."""

    code = "identity-refused"
    category = Category.FORBIDDEN
    retryable = False


class IdentityExpired(NothingOrdered):
    """The certificate that this gateway signs with has expired."""

    code = "identity-expired"
    category = Category.UNIDENTIFIED
    retryable = False


class TooLarge(NothingOrdered):
    """The transaction exceeds what the ordering service accepts."""

    code = "transaction-too-large"
    category = Category.TOO_LARGE
    retryable = False


class OrganisationsRequired(NothingOrdered):
    """Private data demands that the endorsing organisations are named."""

    code = "endorsing-organisations-required"
    category = Category.UNACCEPTABLE
    retryable = False


class LedgerMisuse(NothingOrdered):
    """The ledger answered in a way that points to a defect or an attack; kept for the operator's log."""

    code = "ledger-protocol"
    category = Category.NETWORK
    retryable = False


class AlreadyProposed(PortError):
    """A transaction of this request is in a block already; its outcome must be looked up there.

    `recorded` says that it is not the one with the derived id: the chaincode names it, by the request's token, and the
    blocks must show that it recorded this very request.
    """

    code = "duplicate-transaction"

    def __init__(self, transaction_id: str, *, recorded: bool = False) -> None:
        super().__init__(f"transaction {transaction_id} is already in the ledger", transaction_id=transaction_id)
        self.transaction_id = transaction_id
        self.recorded = recorded


class OutcomeUnknown(PortError):
    """The orderer did not answer; the envelope may or may not have been accepted."""

    code = "outcome-unknown"
    category = Category.UNAVAILABLE
    retryable = True


class Damaged(PortError):
    """Stored bytes no longer have the digest they are named by; they are never served."""

    code = "blob-integrity"
    category = Category.NETWORK


class StorageFull(PortError):
    """The gateway's disk is full; nothing was signed."""

    code = "storage-full"
    category = Category.FULL
    retryable = True


class StorageFailed(PortError):
    """The gateway's disk failed; the process stops rather than guess what was written."""

    code = "storage-failed"
    category = Category.UNAVAILABLE
    retryable = True
