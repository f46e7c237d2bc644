# SPDX-License-Identifier: Apache-2.0
"""Whether the licence of what was made keeps what the licence of its source asks for.

**What the comparison means, and what it does not.** An expression is read as the ways in which a licensee may choose
to comply (`Licence.ways`). Every way of the new licence must keep all that one way of the source's asks for: that the
source is credited, that use is not commercial, that the same licence or a compatible one is used (`copyleft`), and
that nothing is derived at all. A copyleft licence must also admit the terms of the source's. Only these are compared,
and only for licences that data, models and code are commonly under. Any other licence, every ``LicenseRef`` and every
``AdditionRef`` is *unclassified*: the same identifier keeps it, and nothing else can be compared with it. This finds
contradictions between declared licences; it is not legal advice, and it knows nothing of fair use, of versions of the
law or of private agreements.

**The meet** of several licences is what something may be under that was made from works under all of them. It is
looked for among those licences: one that none of the works is under is not made up. Each of them is compared with the
one work at the end, whatever was made in between, so that steps are not joined: terms that a licence in between takes
on and a later one shuts out are found.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from chaincode.domain import copyleft
from chaincode.domain.errors import DerivativesForbidden, LedgerError, LicenceTooWide, LicenceUnclassified
from chaincode.domain.spdx import Licence, Term, Way
from chaincode.domain.values import Ref

ATTRIBUTION: Final = "attribution"
SHARE_ALIKE: Final = "share-alike"
NON_COMMERCIAL: Final = "non-commercial use"
NO_DERIVATIVES: Final = "no derivatives"

Conditions = frozenset[str]

_CREDIT: Final = frozenset({ATTRIBUTION})
_CONDITIONS: Final[tuple[tuple[re.Pattern[str], Conditions], ...]] = tuple(
    (re.compile(form), asked)
    for form, asked in (
        (r"CC0-1\.0|Unlicense|0BSD|MIT-0|PDDL-1\.0|CC-PDDC|CC-PDM-1\.0|WTFPL", frozenset[str]()),
        (r"CC-BY-NC-SA-.*", _CREDIT | {SHARE_ALIKE, NON_COMMERCIAL}),
        (r"CC-BY-NC-ND-.*|CC-BY-ND-NC-.*", _CREDIT | {NON_COMMERCIAL, NO_DERIVATIVES}),
        (r"CC-BY-NC-[0-9].*", _CREDIT | {NON_COMMERCIAL}),
        (r"CC-BY-ND-[0-9].*", _CREDIT | {NO_DERIVATIVES}),
        (r"CC-BY-[0-9].*|ODC-By-1\.0|CDLA-Permissive-.*|O-UDA-1\.0|OGL-UK-.*|DL-DE-BY-2\.0|etalab-2\.0", _CREDIT),
        (r"OGL-Canada-2\.0|NLOD-[12]\.0|OGDL-Taiwan-1\.0|OpenMDW-1\.0", _CREDIT),
        (r"MIT|ISC|X11|NCSA|Apache-2\.0|BSD-[123]-Clause|BSD-3-Clause-Clear|Zlib|BSL-1\.0|UPL-1\.0", _CREDIT),
        (r"PSF-2\.0|Python-2\.0|PostgreSQL|ECL-2\.0|AFL-3\.0|MulanPSL-[12]\.0|BlueOak-1\.0\.0", _CREDIT),
    )
)


_SILENT_ON_RESULTS: Final = frozenset({"CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "O-UDA-1.0"})
"""Licences of data that ask nothing of the results of computing with it, such as a model trained on it.

CDLA Permissive 1.0, section 3.4; CDLA Permissive 2.0, section 3; CDLA Sharing 1.0, section 3.5; O-UDA 1.0, section 2.
"""


class Weight(IntEnum):
    """How sure an objection is; where several hold, the one with the least weight in a way decides for that way."""

    UNCLASSIFIED = 1
    BROKEN = 2
    FORBIDDEN = 3


@dataclass(frozen=True, slots=True)
class Objection:
    """Why one licence does not keep another: `about` names what is missing, or the licence that is not classified."""

    weight: Weight
    about: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A licence that asks something of what was made."""

    licence: Licence
    result: bool = False
    """Whether it is that of data, and what was made is a result of computing with it."""


@dataclass(frozen=True, slots=True)
class Meet:
    """What some licences come to."""

    licence: Licence | None
    """The first of them that keeps what all of them ask for; None where none does, or where there are none."""
    decided: bool
    """False where none is known to, and one may that cannot be compared with another."""


@lru_cache(maxsize=4_096)
def conditions(term: Term) -> Conditions | None:
    """What a licence asks for; None for one that is not classified."""
    if term.addition is not None and not term.listed_addition:
        return None
    for form, asked in _CONDITIONS:
        if form.fullmatch(term.identifier) is not None:
            return asked
    return _CREDIT | {SHARE_ALIKE} if copyleft.is_share_alike(term) else None


def objection(licence: Licence, source: Licence, *, result: bool = False) -> Objection | None:
    """Why what was made from something under `source` cannot be under `licence`; None where nothing is known.

    `result` says that the source is data and that what was made is a result of computing with it.
    """
    return _objection(licence.ways, _ways_asked(Asked(source, result)))


def asks(licence: Licence) -> Conditions | None:
    """What a licence asks for whichever way one complies with it; None where some of it is not classified."""
    ways = []
    for way in licence.ways:
        known = [asked for term in way if (asked := conditions(term)) is not None]
        if len(known) < len(way):
            return None
        ways.append(Conditions().union(*known))
    return frozenset.intersection(*ways)


def terms_of(licence: Licence) -> int:
    """How many terms the ways of a licence have together: comparing two costs the product."""
    return sum(map(len, licence.ways))


def meet(licences: Sequence[Asked]) -> Meet:
    """What something may be under that was made from works under these licences, or is itself under one of them.

    Every one is compared with every other: who calls bounds the sum of `terms_of`.
    """
    asked = [_ways_asked(each) for each in licences]
    decided = True
    for each in licences:
        mine = each.licence.ways
        objections = [one for theirs in asked if (one := _objection(mine, theirs)) is not None]
        if not objections:
            return Meet(each.licence, decided=True)
        decided = decided and any(one.weight is not Weight.UNCLASSIFIED for one in objections)
    return Meet(None, decided)


def check_licence(licence: Licence, reference: Ref, sources: Iterable[tuple[tuple[Ref, ...], Licence]]) -> None:
    """Refuse a licence that does not keep what that of anything asks for that `reference` was made from.

    `sources` are those it was directly made from, each with the path to it and its licence: a licence binds anyone who
    makes something from the work, and what they make is then under theirs.
    """
    for path, asked in sources:
        found = objection(
            licence, asked, result=reference.kind == "model-version" and path[-1].kind == "dataset-version"
        )
        if found is not None:
            raise refusal(found, licence, asked, (reference, *path))


def refusal(found: Objection, licence: Licence, asked: Licence, path: tuple[Ref, ...]) -> LedgerError:
    """An objection as the law words it; the path leads from what is under `licence` to what is under `asked`."""
    if found.weight is Weight.FORBIDDEN:
        return DerivativesForbidden(path[-1], asked, path)
    if found.weight is Weight.BROKEN:
        return LicenceTooWide(licence, asked, found.about, path)
    return LicenceUnclassified(licence, asked, found.about, path[-1], path)


def _ways_asked(source: Asked) -> tuple[Way, ...]:
    """The ways of a licence; of data, for a result, without the licences that ask nothing of a result."""
    ways = source.licence.ways
    if not source.result:
        return ways
    return tuple(tuple(term for term in way if term.identifier not in _SILENT_ON_RESULTS) for way in ways)


def _objection(licence: Iterable[Way], source: Sequence[Way]) -> Objection | None:
    found: list[Objection] = []
    for mine in licence:
        objections = [_way_objection(mine, way) for way in source]
        sure = [one for one in objections if one is not None]
        if len(sure) == len(objections):
            found.append(min(sure, key=lambda one: one.weight))
    return max(found, key=lambda one: one.weight, default=None)


def _way_objection(mine: Way, theirs: Way) -> Objection | None:
    for asked in theirs:
        if NO_DERIVATIVES in (conditions(asked) or ()):
            return Objection(Weight.FORBIDDEN, asked.spelling)
    objections = [one for asked in theirs if (one := _term_objection(mine, asked)) is not None]
    return max(objections, key=lambda one: one.weight, default=None)


def _term_objection(mine: Way, asked: Term) -> Objection | None:
    if any(_same(own, asked) for own in mine):
        return None
    wanted = conditions(asked)
    if wanted is None:
        return Objection(Weight.UNCLASSIFIED, asked.spelling)
    offered = frozenset[str]().union(*(conditions(own) or () for own in mine))
    missing: list[str] = [condition for condition in (ATTRIBUTION, NON_COMMERCIAL) if condition in wanted - offered]
    missing += [
        f"its own terms, which {own.spelling} does not allow to be added"
        for own in mine
        if copyleft.excludes(own, asked)
    ]
    if SHARE_ALIKE in wanted and not any(copyleft.meets(own, asked) for own in mine):
        missing.append(f"the same licence as {asked.spelling} or a compatible one")
    if not missing:
        return None
    unclassified = next((own for own in mine if conditions(own) is None), None)
    if unclassified is not None:
        return Objection(Weight.UNCLASSIFIED, unclassified.spelling)
    return Objection(Weight.BROKEN, ", ".join(missing))


def _same(own: Term, asked: Term) -> bool:
    """Whether the licence is kept as it is; later versions and a listed exception may be left out, not added."""
    if own.identifier != asked.identifier or (own.later and not asked.later):
        return False
    return own.addition == asked.addition or (own.addition is None and asked.listed_addition)
