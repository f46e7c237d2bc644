# SPDX-License-Identifier: Apache-2.0
"""Names for consent states and purposes, as people and files write them.

The states are those of the DPV profile of ISO/IEC TS 27560. A purpose is a bit of the set in a record's leaf. Which
there are for everybody, the law says (`chaincode.domain.consent` and `purposes`); an organisation's own are on the
ledger.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from chaincode.domain import purposes
from chaincode.domain.consent import STATUSES
from chaincode.domain.records import Consent
from chaincode.domain.values import Iri, OrgId, Purposes
from gateway.services.catalogue import Catalogue
from gateway.services.ports import Category, Json, PortError

STATES: Final[Mapping[str, Consent]] = {status.value: Consent(byte) for byte, status in enumerate(STATUSES)}
PURPOSES: Final = tuple(name for name, _ in purposes.PURPOSES)
"""The names of everybody's purposes, by their bits."""
_BETWEEN: Final = "://"
"""What every IRI of a purpose has in it."""


class UnknownTerm(PortError):
    """A consent state or purpose that has no meaning here."""

    code = "unknown-term"
    category = Category.UNACCEPTABLE


def state_of(name: str) -> Consent:
    """The state of this name; raises `UnknownTerm`."""
    if name not in STATES:
        raise UnknownTerm(f"{name[:60]!r} is not a consent state; known are {', '.join(STATES)}", term=name[:60])
    return STATES[name]


class Vocabulary:
    """What purposes are called: everybody's by their names, those that were registered by their titles, all by IRI.

    Everybody's names come first, then an organisation's own titles, then those of others. A title that two purposes
    have in the same place names neither, and one that looks like an IRI names nothing.

    Args:
        own: purposes that the organisation has registered, as the ledger has them; they have bits in its data sets.
        others: those of other organisations, which can only be named.
    """

    def __init__(self, own: Iterable[Json] = (), others: Iterable[Json] = ()) -> None:
        own = list(own)
        self._iris: dict[str, str] = dict(purposes.PURPOSES)
        self._bits: dict[str, int] = dict(purposes.BIT_OF)
        self._bits |= {str(each["iri"]): int(each["bit"]) for each in own}
        self._names = {str(iri): name for name, iri in purposes.PURPOSES}
        for registered in (own, list(others)):
            self._call(registered)

    def _call(self, registered: Iterable[Json]) -> None:
        """Let registered purposes be called by their titles, where these are free."""
        titles = {str(each["iri"]): str(each["title"]) for each in registered if each.get("title")}
        often = Counter(titles.values())
        for iri, title in titles.items():
            free = often[title] == 1 and title not in self._iris and iri not in self._names
            if free and _BETWEEN not in title:
                self._iris[title] = iri
                self._names[iri] = title

    @property
    def known(self) -> tuple[str, ...]:
        """The purposes that have a bit, each by its name or else its IRI, in the order of the bits."""
        return tuple(self._names.get(iri, iri) for iri in sorted(self._bits, key=self._bits.__getitem__))

    def set_of(self, terms: Iterable[str]) -> Purposes:
        """The set of these purposes, each by name or IRI; raises `UnknownTerm`."""
        bits = 0
        for term in terms:
            bit = self._bits.get(self._iris.get(term, term))
            if bit is None:
                raise _unknown(term, self.known)
            bits |= 1 << bit
        return Purposes(bits)

    def purpose(self, term: str) -> tuple[Iri, int]:
        """The IRI and the bit of a purpose, by name or IRI; raises `UnknownTerm`."""
        iri = self._iris.get(term, term)
        if iri not in self._bits:
            raise _unknown(term, self.known)
        return Iri(iri), self._bits[iri]

    def names_of(self, found: int) -> list[str]:
        """Each purpose of a set by its name or else its IRI; `bit-40` for one that nobody has registered."""
        iris = {bit: iri for iri, bit in self._bits.items()}
        bits = (bit for bit in range(purposes.LAST + 1) if found >> bit & 1)
        return [self._names.get(iris[bit], iris[bit]) if bit in iris else f"bit-{bit}" for bit in bits]

    def iri_of(self, term: str) -> str:
        """The IRI of a purpose; what is an IRI is returned as it is. Raises `UnknownTerm`."""
        if _BETWEEN in term:
            return term
        if term not in self._iris:
            raise _unknown(term, self._iris)
        return self._iris[term]


def _unknown(term: str, known: Iterable[str]) -> UnknownTerm:
    return UnknownTerm(f"{term[:60]!r} is not a purpose; known are {', '.join(known)}", term=term[:60])


EVERYBODYS: Final = Vocabulary()
"""The purposes that are the same for everybody."""


def registered(catalogue: Catalogue, owner: str, found: int) -> list[Json]:
    """What an organisation has registered of a set of purposes, by bits, as evidence repeats it."""
    if not found >> purposes.FIRST_OWN:
        return []
    own = catalogue.all("purpose", owner=owner)
    named = [each for each in own if found >> int(each["record"]["bit"]) & 1]
    return sorted(named, key=lambda each: int(each["record"]["bit"]))


def vocabulary_of(catalogue: Catalogue, organisation: str) -> Vocabulary:
    """What purposes are called at an organisation now, as far as its gateway has read the ledger."""
    registered = [each["record"] for each in catalogue.all("purpose")]
    own = OrgId(organisation)
    return Vocabulary(
        (each for each in registered if each["owner"] == own), (each for each in registered if each["owner"] != own)
    )
