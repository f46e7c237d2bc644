# SPDX-License-Identifier: Apache-2.0
"""SPDX licence expressions: which ones exist, and which one allows more than another.

The grammar is that of the SPDX specification 3.0.1, annex "SPDX licence expressions": identifiers (optionally with
``+``), ``LicenseRef-…``, ``DocumentRef-…:LicenseRef-…``, ``WITH`` an exception, ``AND``, ``OR`` and parentheses.

**What the comparison means, and what it does not.** An expression is read as the ways in which a licensee may choose
to comply; each way is a set of conditions. One licence is *wider* than another if some way of complying with the first
satisfies no way of the second. Conditions are known for the licences that data and models are commonly under; any
other licence, and every ``LicenseRef``, counts as a condition of its own, which only the same identifier meets.
Exceptions are read as if they were not there. This finds contradictions between declared licences; it is not a
legal opinion, and it knows nothing of fair use, versions of the law or private agreements.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Final, Self

from chaincode.domain.errors import LicenceMalformed, LicenceUnknown
from chaincode.domain.spdx_ids import EXCEPTIONS, LICENCES

MAX_LENGTH: Final = 512
"""The longest expression, in characters."""
MAX_TERMS: Final = 12
"""The most identifiers in one expression, so that its alternatives stay few."""

_REF: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_TOKEN: Final = re.compile(r"\s*([()]|[A-Za-z0-9.+:-]+)\s*")
_LICENCE_BY_LOWER: Final = {identifier.lower(): identifier for identifier in LICENCES}
_EXCEPTION_BY_LOWER: Final = {identifier.lower(): identifier for identifier in EXCEPTIONS}

ATTRIBUTION: Final = "attribution"
SHARE_ALIKE: Final = "share-alike"
NON_COMMERCIAL: Final = "non-commercial"
NO_DERIVATIVES: Final = "no-derivatives"

_FREE: Final = frozenset[str]()
_CREDIT: Final = frozenset({ATTRIBUTION})
_ALIKE: Final = frozenset({ATTRIBUTION, SHARE_ALIKE})

Conditions = frozenset[str]

_CONDITIONS: Final[tuple[tuple[re.Pattern[str], Conditions], ...]] = tuple(
    (re.compile(form), conditions)
    for form, conditions in (
        (r"CC0-1\.0|Unlicense|0BSD|MIT-0|PDDL-1\.0|CC-PDDC|CC-PDM-1\.0|WTFPL", _FREE),
        (r"CC-BY-NC-SA-.*", _ALIKE | {NON_COMMERCIAL}),
        (r"CC-BY-NC-ND-.*|CC-BY-ND-NC-.*", _CREDIT | {NON_COMMERCIAL, NO_DERIVATIVES}),
        (r"CC-BY-NC-.*", _CREDIT | {NON_COMMERCIAL}),
        (r"CC-BY-ND-.*", _CREDIT | {NO_DERIVATIVES}),
        (r"CC-BY-SA-.*|ODbL-1\.0|CDLA-Sharing-1\.0|GFDL-.*", _ALIKE),
        (r"(?:A|L)?GPL-[0-9].*|MPL-.*|EPL-.*|EUPL-.*", _ALIKE),
        (r"CC-BY-[0-9].*|ODC-By-1\.0|CDLA-Permissive-.*|O-UDA-1\.0|OGL-UK-.*|DL-DE-BY-2\.0|etalab-2\.0", _CREDIT),
        (r"MIT|ISC|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|Zlib|PSF-2\.0|BSL-1\.0|UPL-1\.0", _CREDIT),
    )
)


class Licence(str):
    """A valid SPDX expression in its canonical spelling: ``Licence(Licence(x)) == Licence(x)``.

    Raises `LicenceMalformed` for text that does not parse and `LicenceUnknown` for an identifier that is not listed.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        return super().__new__(cls, _Parser(value).canonical)

    @property
    def alternatives(self) -> frozenset[Conditions]:
        """The ways to comply, each as the set of conditions to be met."""
        return _Parser(self).alternatives

    def is_wider_than(self, ancestor: "Licence") -> bool:
        """Whether someone could comply with this licence and yet break `ancestor`, as far as conditions are known."""
        theirs = ancestor.alternatives
        return any(all(not way <= mine for way in theirs) for mine in self.alternatives)


def conditions(identifier: str) -> Conditions:
    """What a single licence asks for; a licence that is not classified asks for itself."""
    plain = identifier.removesuffix("+")
    for form, asked in _CONDITIONS:
        if form.fullmatch(plain) is not None:
            return asked
    return frozenset({plain})


class _Parser:
    """One pass over the tokens; leaves the canonical spelling and the alternatives."""

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > MAX_LENGTH:
            raise LicenceMalformed(text[:40] + "…", f"it is longer than {MAX_LENGTH} characters")
        self._tokens = list(self._split())
        self._next = 0
        self._terms = 0
        self._depth = 0
        self.canonical, self.alternatives = self._any_of()
        if self._peek() is not None:
            raise self._refusal(f"'{self._peek()}' was not expected")

    def _split(self) -> Iterator[str]:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._refusal("it holds a character that cannot stand there")
            yield match[1]
            position = match.end()

    def _refusal(self, reason: str) -> LicenceMalformed:
        return LicenceMalformed(self._text, reason)

    def _peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self) -> str:
        token = self._peek()
        if token is None:
            raise self._refusal("it ends too early")
        self._next += 1
        return token

    def _took(self, word: str) -> bool:
        found = self._peek() == word
        self._next += found
        return found

    def _any_of(self) -> tuple[str, frozenset[Conditions]]:
        spelling, ways = self._all_of()
        while self._took("OR"):
            more, other = self._all_of()
            spelling, ways = f"{spelling} OR {more}", ways | other
        return spelling, ways

    def _all_of(self) -> tuple[str, frozenset[Conditions]]:
        spelling, ways = self._one()
        while self._took("AND"):
            more, other = self._one()
            spelling, ways = f"{spelling} AND {more}", frozenset(a | b for a, b in product(ways, other))
        return spelling, ways

    def _one(self) -> tuple[str, frozenset[Conditions]]:
        if self._took("("):
            self._depth += 1
            if self._depth > MAX_TERMS:
                raise self._refusal(f"its parentheses are nested deeper than {MAX_TERMS}")
            spelling, ways = self._any_of()
            self._depth -= 1
            if not self._took(")"):
                raise self._refusal("a parenthesis is not closed")
            return f"({spelling})", ways
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._refusal(f"it names more than {MAX_TERMS} licences")
        identifier = self._identifier(self._take())
        spelling = identifier
        if self._took("WITH"):
            spelling = f"{identifier} WITH {self._exception(self._take())}"
        return spelling, frozenset({conditions(identifier)})

    def _identifier(self, token: str) -> str:
        if token in {"AND", "OR", "WITH", ")"}:
            raise self._refusal(f"'{token}' stands where a licence should")
        if _REF.fullmatch(token) is not None:
            return token
        plus = "+" if token.endswith("+") else ""
        known = _LICENCE_BY_LOWER.get(token.lower()) or _LICENCE_BY_LOWER.get(token.removesuffix("+").lower())
        if known is None:
            raise LicenceUnknown(token)
        return known + plus if not known.endswith("+") else known

    def _exception(self, token: str) -> str:
        known = _EXCEPTION_BY_LOWER.get(token.lower())
        if known is None:
            raise LicenceUnknown(token)
        return known
