# SPDX-License-Identifier: Apache-2.0
"""SPDX licence expressions: which ones exist, how they are spelt, and in which ways each can be complied with.

The grammar is that of the SPDX specification 3.0.1, annex "SPDX license expressions": identifiers of the list
(optionally with ``+``), ``LicenseRef-…``, ``DocumentRef-…:LicenseRef-…``; ``WITH`` an exception of the list or an
``AdditionRef-…``; ``AND``, ``OR`` and parentheses, on one line, with a space on both sides of each operator. Operators
are written in capitals or in small letters; identifiers are compared without case, and so is what follows the
prefixes ``LicenseRef-``, ``AdditionRef-`` and ``DocumentRef-``, which themselves have one spelling.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Final, NamedTuple, Self

from chaincode.domain.errors import LicenceMalformed, LicenceUnknown
from chaincode.domain.spdx_ids import EXCEPTIONS, LICENCES, LIST_VERSION

MAX_LENGTH: Final = 512
"""The longest expression, in characters."""
MAX_TERMS: Final = 12
"""The most identifiers in one expression, so that its alternatives stay few."""

_LICENCE_REF: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_ADDITION_REF: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?AdditionRef-[A-Za-z0-9.-]+")
_TOKEN: Final = re.compile(r"( *)([()]|[A-Za-z0-9.+:-]+)")
_OPERATORS: Final = frozenset({"AND", "and", "OR", "or", "WITH", "with"})
_LICENCE_BY_LOWER: Final = {identifier.lower(): identifier for identifier in LICENCES}
_EXCEPTION_BY_LOWER: Final = {identifier.lower(): identifier for identifier in EXCEPTIONS}


@dataclass(frozen=True, slots=True)
class Term:
    """One licence of an expression; terms that name the same licence are equal, however they are spelt."""

    identifier: str
    """As on the list and without ``+``; for a ``LicenseRef-…`` in small letters."""
    later: bool = False
    """Whether ``+`` offers later versions too."""
    addition: str | None = None
    """The exception as on the list; for an ``AdditionRef-…`` in small letters."""
    spelling: str = field(default="", compare=False)

    @property
    def listed_addition(self) -> bool:
        """Whether it has an exception of the list, which only ever grants more than the licence alone."""
        return self.addition in EXCEPTIONS


Way = tuple[Term, ...]
"""One way to comply with an expression: under all of these licences at once."""


class Licence(str):
    """A valid SPDX expression in its canonical spelling: ``Licence(Licence(x)) == Licence(x)``.

    Raises `LicenceMalformed` for text that does not parse and `LicenceUnknown` for an identifier that is not listed.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        return super().__new__(cls, _Parser(value).canonical)

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways to comply, of which a licensee chooses one."""
        return _Parser(self).ways


class _Token(NamedTuple):
    text: str
    spaced: bool
    """Whether a space stands before it."""


class _Parser:
    """One pass over the tokens; leaves the canonical spelling and the ways to comply."""

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > MAX_LENGTH:
            raise LicenceMalformed(_printable(text[:40]) + "...", f"it is longer than {MAX_LENGTH} characters")
        self._tokens = list(self._split())
        self._next = 0
        self._terms = 0
        self._depth = 0
        self.canonical, self.ways = self._any_of()
        if self._peek() is not None:
            raise self._refusal(f"'{self._peek()}' was not expected; operators are AND, OR and WITH")

    def _split(self) -> Iterator[_Token]:
        text, position = self._text.rstrip(" "), 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._refusal("it has a character that cannot be there")
            yield _Token(match[2], bool(match[1]))
            position = match.end()

    def _refusal(self, reason: str) -> LicenceMalformed:
        return LicenceMalformed(_printable(self._text), reason)

    def _peek(self) -> str | None:
        return self._tokens[self._next].text if self._next < len(self._tokens) else None

    def _take(self) -> str:
        token = self._peek()
        if token is None:
            raise self._refusal("it ends too early")
        self._next += 1
        return token

    def _took(self, word: str) -> bool:
        """Take an operator or parenthesis, if it stands here."""
        if self._peek() not in {word, word.lower()}:
            return False
        around = self._tokens[self._next : self._next + 2]
        if word in _OPERATORS and not all(token.spaced for token in around):
            raise self._refusal(f"there is a space on both sides of {word}")
        self._next += 1
        return True

    def _any_of(self) -> tuple[str, tuple[Way, ...]]:
        spelling, ways = self._all_of()
        while self._took("OR"):
            more, other = self._all_of()
            spelling, ways = f"{spelling} OR {more}", _distinct((*ways, *other))
        return spelling, ways

    def _all_of(self) -> tuple[str, tuple[Way, ...]]:
        spelling, ways = self._one()
        while self._took("AND"):
            more, other = self._one()
            both = (_merged(one, another) for one, another in product(ways, other))
            spelling, ways = f"{spelling} AND {more}", _distinct(both)
        return spelling, ways

    def _one(self) -> tuple[str, tuple[Way, ...]]:
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
        term = self._licence(self._take())
        if self._took("WITH"):
            addition, spelling = self._addition(self._take())
            term = Term(term.identifier, term.later, addition, f"{term.spelling} WITH {spelling}")
        return term.spelling, ((term,),)

    def _licence(self, token: str) -> Term:
        if token in {*_OPERATORS, ")"}:
            raise self._refusal(f"'{token}' stands where a licence should")
        if _LICENCE_REF.fullmatch(token) is not None:
            return Term(token.lower(), spelling=token)
        known = _LICENCE_BY_LOWER.get(token.lower())
        if known is None:
            known = _LICENCE_BY_LOWER.get(token.removesuffix("+").lower())
            if known is None:
                raise LicenceUnknown(token, LIST_VERSION)
            known += "+"
        return Term(known.removesuffix("+"), known.endswith("+"), spelling=known)

    def _addition(self, token: str) -> tuple[str, str]:
        """An exception as it is compared, and as it is spelt."""
        if _ADDITION_REF.fullmatch(token) is not None:
            return token.lower(), token
        known = _EXCEPTION_BY_LOWER.get(token.lower())
        if known is None:
            raise LicenceUnknown(token, LIST_VERSION)
        return known, known


def _merged(one: Way, other: Way) -> Way:
    return tuple(dict.fromkeys((*one, *other)))


def _distinct(ways: Iterator[Way] | tuple[Way, ...]) -> tuple[Way, ...]:
    return tuple({frozenset(way): way for way in ways}.values())


def _printable(text: str) -> str:
    """Text of a stranger as a refusal repeats it: printable ASCII."""
    return text.encode("unicode_escape").decode("ascii")
