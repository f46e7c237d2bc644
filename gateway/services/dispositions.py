# SPDX-License-Identifier: Apache-2.0
"""What each of Fabric's validation codes means for a submission: one table."""

from dataclasses import dataclass

from gateway.services.ports import Category, Outcome


@dataclass(frozen=True, slots=True)
class Disposition:
    """How an ordered transaction ended and what follows from it."""

    code: str
    message: str
    attempts: int
    """How many transactions of ours may end so before the caller is answered."""
    category: Category = Category.FAULT
    """Of what sort a failure it is, where it is one."""
    retryable: bool = True
    valid: bool = False


_VALID = Disposition("valid", "the transaction is valid", attempts=0, valid=True)
_CONFLICT = Disposition(
    "conflict", "another transaction changed the same records first", attempts=5, category=Category.CONFLICT
)
_POLICY = Disposition(
    "endorsement-policy", "the network's endorsement policy was not satisfied", attempts=2,
    category=Category.NETWORK, retryable=False,
)  # fmt: skip
_UPGRADING = Disposition(
    "chaincode-upgrading", "the chaincode is being upgraded", attempts=2, category=Category.UNAVAILABLE
)
TAKEN = Disposition(
    "transaction-id-taken", "others ordered something under this transaction's id before it", attempts=5,
    category=Category.UNAVAILABLE,
)  # fmt: skip
"""An id is used up by its first occurrence, even one that others ordered. Endorsers see the id before it is ordered."""
_FAULT = Disposition(
    "transaction-invalid", "the network found the transaction invalid; the operator was notified", attempts=1,
    retryable=False,
)  # fmt: skip

_DISPOSITIONS = {
    0: _VALID,
    9: TAKEN,
    10: _POLICY,
    11: _CONFLICT,
    12: _CONFLICT,
    17: _UPGRADING,
    18: _UPGRADING,
    25: _UPGRADING,
}

FAILURES = (_POLICY, _CONFLICT, _UPGRADING, TAKEN, _FAULT)
"""Every disposition but that of a valid transaction."""


def disposition_of(outcome: Outcome) -> Disposition:
    """The disposition for a validation code; every code that a correct gateway cannot cause is a fault."""
    return _DISPOSITIONS.get(outcome.code, _FAULT)
