# SPDX-License-Identifier: Apache-2.0
"""Names for consent states and purposes, as people and files write them.

The states are those of the DPV profile of ISO/IEC TS 27560. A purpose is a bit of the set in a record's leaf; the
position of a name in `PURPOSES` is its bit, so names are only ever added at the end.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from chaincode.domain.records import Consent
from chaincode.domain.values import Purposes
from gateway.services.ports import Category, PortError

STATES: Final[Mapping[str, Consent]] = {
    "ConsentUnknown": Consent.UNKNOWN,
    "ConsentRequested": Consent.REQUESTED,
    "ConsentGiven": Consent.GIVEN,
    "RenewedConsentGiven": Consent.RENEWED,
    "ConsentRefused": Consent.REFUSED,
    "ConsentWithdrawn": Consent.WITHDRAWN,
    "ConsentExpired": Consent.EXPIRED,
    "ConsentInvalidated": Consent.INVALIDATED,
    "ConsentTerminated": Consent.TERMINATED,
}
PURPOSES: Final = ("research", "model-training", "model-evaluation", "care", "public-health", "commercial")
_NAMES: Final = {state: name for name, state in STATES.items()}


class UnknownTerm(PortError):
    """A consent state or purpose that has no meaning here."""

    code = "unknown-term"
    category = Category.UNACCEPTABLE


def state_of(name: str) -> Consent:
    """The state of this name; raises `UnknownTerm`."""
    if name not in STATES:
        raise UnknownTerm(f"{name[:60]!r} is not a consent state; known are {', '.join(STATES)}", term=name[:60])
    return STATES[name]


def name_of(state: Consent) -> str:
    """The name of a state."""
    return _NAMES[state]


def purposes_of(names: Iterable[str]) -> Purposes:
    """The set of these purposes; raises `UnknownTerm`."""
    bits = 0
    for name in names:
        if name not in PURPOSES:
            raise UnknownTerm(f"{name[:60]!r} is not a purpose; known are {', '.join(PURPOSES)}", term=name[:60])
        bits |= 1 << PURPOSES.index(name)
    return Purposes(bits)
