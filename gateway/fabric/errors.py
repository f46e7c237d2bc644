# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a client and its Gateway peer, as one tree.

    FabricError
    ├── GatewayError            a call to the peer failed; carries code, details of peers, transaction id
    │   ├── EndorseError        the proposal was not endorsed: nothing was submitted
    │   ├── SubmitError         not accepted for ordering, or nobody knows (see `SubmitError`)
    │   ├── CommitStatusError   the outcome could not be learnt: the transaction may well have committed
    │   └── DeliverError        a block stream ended with a status other than success
    ├── CommitError             the transaction is in a block and invalid: no effect, now or later
    ├── UntrustedResponse       what the peer handed over contradicts what was asked or pinned; not signed
    ├── NotUnderstood           the ledger's configuration says what this program does not know; nobody lied
    ├── SigningError            a signature is needed and there is neither one nor a signer
    │   └── KeyUnavailable      the signer's key cannot be used now, as when its token is gone
    ├── CheckpointError         a stored checkpoint cannot be read or written
    └── MalformedData           bytes that are not an identity, MSP definition, block or request
        └── InvalidIdentity     a certificate that its own MSP does not accept
            └── DisabledMember  one of a member whose definition on the channel is not understood

Misuse of the interface (a negative block number, a missing trust) raises `ValueError` or `TypeError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gateway.fabric.texts import said

if TYPE_CHECKING:  # the verifier reads this module and does without gRPC
    import grpc

__all__ = [
    "CheckpointError",
    "CommitError",
    "CommitStatusError",
    "DeliverError",
    "DisabledMember",
    "EndorseError",
    "ErrorDetail",
    "FabricError",
    "GatewayError",
    "InvalidIdentity",
    "KeyUnavailable",
    "MalformedData",
    "NotUnderstood",
    "SigningError",
    "SubmitError",
    "UntrustedResponse",
]


class ErrorDetail(NamedTuple):
    """What one peer or orderer said about a failed call (rule G-2)."""

    address: str
    msp_id: str
    message: str


class FabricError(Exception):
    """Any failure that this library reports on purpose."""


class GatewayError(FabricError):
    """A call to the Gateway peer failed.

    `code` is the `grpc.StatusCode`, `details` what each peer involved answered, `transaction_id` empty where the
    call belongs to no transaction. Codes alone do not tell client faults from server faults (rule G-6).
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        details: Sequence[ErrorDetail] = (),
        transaction_id: str = "",
    ) -> None:
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.transaction_id = transaction_id
        super().__init__(code, message, self.details, transaction_id)

    def __str__(self) -> str:
        head = f"{self.code.name}: {said(self.message)}"
        if self.transaction_id:
            head += f" (transaction {self.transaction_id})"
        return "; ".join([head, *(said(f"{d.msp_id} at {d.address}: {d.message}") for d in self.details)])


class EndorseError(GatewayError):
    """The proposal was not endorsed; nothing was submitted and the transaction id is unused on the ledger."""


class SubmitError(GatewayError):
    """The orderer refused the transaction, or the answer was lost.

    Only ABORTED proves a refusal. After UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED the envelope may still be
    ordered at any later time; submitting the same signed envelope again is safe, proposing anew is not.
    """


class CommitStatusError(GatewayError):
    """The outcome of a submitted transaction could not be learnt; it says nothing about the outcome itself."""


class DeliverError(GatewayError):
    """A block stream ended with a status of `common.Status` other than SUCCESS (rule D-6); `status` is its number."""

    def __init__(self, code: grpc.StatusCode, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status

    def __reduce__(self) -> tuple[type[DeliverError], tuple[grpc.StatusCode, str, int]]:
        return type(self), (self.code, self.message, self.status)


class CommitError(FabricError):
    """The transaction was committed with a validation code other than VALID: it changed nothing and never will.

    `code` is the number of a `TxValidationCode`, `code_name` its name, such as MVCC_READ_CONFLICT.
    """

    def __init__(self, transaction_id: str, code: int, code_name: str, block_number: int) -> None:
        self.transaction_id = transaction_id
        self.code = code
        self.code_name = code_name
        self.block_number = block_number
        super().__init__(transaction_id, code, code_name, block_number)

    def __str__(self) -> str:
        return (
            f"transaction {self.transaction_id} was committed as invalid in block {self.block_number}: "
            f"{self.code_name} ({self.code})"
        )


class UntrustedResponse(FabricError):
    """The peer's answer fails a check made before signing or reading on; nothing was signed.

    `reason` is a permanent short code (such as `header-mismatch`), `message` is for people. `member` is the MSP id of
    the organisation whose endorsement is at fault; empty where that is nobody's.
    """

    def __init__(self, reason: str, message: str, transaction_id: str = "", member: str = "") -> None:
        self.reason = reason
        self.message = message
        self.transaction_id = transaction_id
        self.member = member
        super().__init__(reason, message, transaction_id, member)

    def __str__(self) -> str:
        suffix = f" (transaction {self.transaction_id})" if self.transaction_id else ""
        return f"{self.reason}: {self.message}{suffix}"


class NotUnderstood(FabricError):
    """The configuration in force holds something that this program does not understand, without which it cannot judge
    what comes next. That shows nothing about the peer that handed it over."""


class SigningError(FabricError):
    """A message must be signed, but it carries no signature and the gateway was given no signer."""


class KeyUnavailable(SigningError):
    """The signer's key cannot be used at the moment; nothing was signed, and it may succeed later."""


class CheckpointError(FabricError):
    """A checkpoint file exists but cannot be read, or cannot be written durably."""


class MalformedData(FabricError):
    """Bytes or files are not what they should be; the message names the part."""


class InvalidIdentity(MalformedData):
    """A well-formed certificate that its MSP does not accept (rules P-24 and P-25)."""


class DisabledMember(InvalidIdentity):
    """An identity of a member whose definition this program does not understand: nothing is known against it, and
    nothing can be proven for it."""

    def __init__(self, msp_id: str, problem: str) -> None:
        self.msp_id = msp_id
        self.problem = problem
        super().__init__(f"member {said(msp_id, 100)} is disabled here: {problem}")

    def __reduce__(self) -> tuple[type[DisabledMember], tuple[str, str]]:
        return type(self), (self.msp_id, self.problem)
