# SPDX-License-Identifier: Apache-2.0
"""How an attempt ends that recorded nothing: before ordering, or invalid in a block."""

from gateway.services.dispositions import Disposition
from gateway.services.ports import Json, NothingOrdered, Outcome, PortError, Submission


class Invalidated(PortError):
    """The transaction was ordered and found invalid, and the attempts allowed are used up."""

    def __init__(self, ended: Disposition, **facts: object) -> None:
        super().__init__(ended.message, **facts)
        self.code = ended.code
        self.category = ended.category
        self.retryable = ended.retryable


class Halted(Exception):
    """An attempt ended before ordering; carries how the submission stands and why it stopped."""

    def __init__(self, submission: Submission, cause: NothingOrdered) -> None:
        super().__init__(cause.message)
        self.submission = submission
        self.cause = cause


def invalidated(ended: Disposition, outcome: Outcome) -> Invalidated:
    """The failure of a transaction that ended so."""
    facts: Json = {"transaction_id": outcome.transaction_id, "block": outcome.block, "validation_code": outcome.code}
    return Invalidated(ended, **facts)
