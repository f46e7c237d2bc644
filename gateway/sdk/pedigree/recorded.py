# SPDX-License-Identifier: Apache-2.0
"""What a recording comes to."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pedigree.documents import REFERENCES, ConsentImpact, Event

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[R_co]):
    """A committed, valid transaction and what it wrote."""

    record: R_co
    event: Event
    transaction_id: str
    block: int
    height: int
    """Ledger height from which the record is visible."""
    seconds: float
    """From sending the request to its committed outcome."""
    replayed: bool
    """Whether this is the first answer to an earlier request with the same key."""
    impact: ConsentImpact | None = None
    """What a withdrawal comes to; None for all else that is recorded."""
    unmarked: int = 0
    """How many selections that a change of consent affects are not marked yet; the same call with the same
    `idempotency_key` marks them."""

    @property
    def reference(self) -> str:
        """The reference to what was recorded, such as `model-version:net:1`.

        Of an endorsement, a rejection, a counter-claim, a stage or a later parent, that to the artifact it is about; of
        the end of a deployment, that to the deployment. Raises `LookupError` for a policy, a vote, a purpose and the
        like, which nothing refers to.
        """
        record = cast("dict[str, Any]", self.record)
        first, *fields = REFERENCES.get(record["kind"], ("",))
        if not fields:
            raise LookupError(f"a {record['kind']} has no reference")
        return ":".join((*filter(None, (first,)), *(str(record[name]) for name in fields)))
