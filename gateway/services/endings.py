# SPDX-License-Identifier: Apache-2.0
"""How a request to record something ended, as it is kept for repetitions: recorded, or failed and in what way.

Which status an ending has is for `gateway/rest/problems.py` alone.
"""

from dataclasses import dataclass

from chaincode.domain import errors as law
from gateway.services.failures import Category, Json, PortError

_LAW: tuple[tuple[type[law.LedgerError], Category], ...] = (
    # What cannot even be read comes first: the rest of what is malformed reads well and says something wrong.
    *((unreadable, Category.UNREADABLE) for unreadable in (
        law.InvalidJson, law.DuplicateName, law.TooDeep, law.NotANumber, law.FloatRefused, law.IntegerOutOfRange
    )),
    (law.NotFound, Category.NOT_FOUND),
    (law.Conflict, Category.CONFLICT),
    (law.Forbidden, Category.FORBIDDEN),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """The transaction is valid."""

    body: Json
    """What the chaincode answered, and `transaction`: its id and the block that holds it."""
    height: int
    """Ledger height that includes the effect."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The request was refused or failed."""

    category: Category
    code: str
    """Permanent; which failure of its category it is."""
    detail: str
    retryable: bool
    """Whether the same request may be sent again, under the same key."""
    facts: Json
    """For machines, and safe to show to the caller."""


Ending = Recorded | Failed


def failed(error: PortError | law.LedgerError) -> Failed:
    """The ending of a request that is refused or fails with this error."""
    if isinstance(error, law.LedgerError):
        facts: Json = {name: list(f) if isinstance(f, tuple) else f for name, f in error.facts().items()}
        return Failed(category_of(type(error)), error.code, str(error), retryable=False, facts=facts)
    return Failed(error.category, error.code, error.message, error.retryable, error.facts)


def category_of(refusal: type[law.LedgerError]) -> Category:
    """The category of a refusal by the law: what is none of the others says something that the law does not accept."""
    return next((category for family, category in _LAW if issubclass(refusal, family)), Category.UNACCEPTABLE)
