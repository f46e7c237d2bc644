# SPDX-License-Identifier: Apache-2.0
"""What brings submissions to their ends, one by one or as batches."""

from typing import Protocol

from chaincode.domain.batch import FUNCTION
from chaincode.domain.errors import LedgerError
from gateway.services.ports import Ending, Failed, PortError, Submission


class Driver(Protocol):
    """Brings submissions to their ends, see `Attempts`."""

    def drive(self, submission: Submission, deadline: float, *, unsent: bool = False) -> Ending | Submission: ...

    def may_go_on(self, stored: Submission, ending: Ending) -> bool: ...

    def abandon(self, submission: Submission) -> Failed: ...

    def give_up(self, submission: Submission, error: PortError | LedgerError) -> Failed: ...


def is_group(submission: Submission) -> bool:
    """Whether a submission is a part of a batch, which the batch itself finishes."""
    return submission.function == FUNCTION
