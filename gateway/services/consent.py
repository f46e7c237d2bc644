# SPDX-License-Identifier: Apache-2.0
"""Names for consent states and purposes, as people and files write them.

The states are those of the DPV profile of ISO/IEC TS 27560. A purpose is a bit of the set in a record's leaf. Which
there are, the law says (`chaincode.domain.consent` and `purposes`).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from chaincode.domain import purposes
from chaincode.domain.consent import STATUSES
from chaincode.domain.records import Consent
from chaincode.domain.values import Purposes
from gateway.services.ports import Category, PortError

STATES: Final[Mapping[str, Consent]] = {status.value: Consent(byte) for byte, status in enumerate(STATUSES)}
PURPOSES: Final = tuple(name for name, _ in purposes.PURPOSES)


class UnknownTerm(PortError):
    """A consent state or purpose that has no meaning here."""

    code = "unknown-term"
    category = Category.UNACCEPTABLE


def state_of(name: str) -> Consent:
    """The state of this name; raises `UnknownTerm`."""
    if name not in STATES:
        raise UnknownTerm(f"{name[:60]!r} is not a consent state; known are {', '.join(STATES)}", term=name[:60])
    return STATES[name]


def purposes_of(names: Iterable[str]) -> Purposes:
    """The set of these purposes; raises `UnknownTerm`."""
    bits = 0
    for name in names:
        if name not in PURPOSES:
            raise UnknownTerm(f"{name[:60]!r} is not a purpose; known are {', '.join(PURPOSES)}", term=name[:60])
        bits |= 1 << PURPOSES.index(name)
    return Purposes(bits)
