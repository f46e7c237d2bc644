# SPDX-License-Identifier: Apache-2.0
"""By what a record is found: its identifying fields, its licences, its digests, and the words of its texts.

Everything here follows from the record alone, so that what is in an index can be computed again and taken out.
What a record is found by because of others (the stage of a version; what a model's versions are) the store adds.
"""

import re
import types
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from chaincode.domain import codec
from chaincode.domain.text import Setting
from chaincode.domain.values import Number, Text
from gateway.services.conditions import ANY_KIND, DIGEST, REFERENCE, WORD
from gateway.services.ports import Json
from gateway.services.references import STANDING as STANDING
from gateway.services.references import name_of, reference_of, whole_of

LONGEST_VALUE: Final = 256
"""How many characters of an attribute's value are compared."""
LONGEST_WORD: Final = 64
STAGE: Final = "stage"
LICENCE: Final = "licence"
SENSITIVITY: Final = "sensitivity"
STAGED: Final = "staged"
"""The attribute of a version that says of what it is a version, and its stage."""
INHERITED: Final = (DIGEST, LICENCE)
"""What a data set or a model is found by when one of its versions is."""
RELATION: Final = "relation"
"""The attribute of an edge for each relation that it joins."""
ENDS: Final = "ends"
"""The attribute of an edge that says of which kinds parent and child are (see `ends`)."""
ABOUT: Final = "about"
"""The attribute of a stage that says of which kind the artifact is."""

_EDGE: Final = "edge"
_UNASKED: Final = frozenset({"digest-claim", "root-claim"})
"""Kinds that nobody lists: what they say is in the records that were written with them."""
_HEX: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_HEX_LENGTHS: Final = (64, 40)
_WORD: Final = re.compile(r"[^\W_]+")
_IDENTIFIER: Final = re.compile(r"[^\s()]+")
_OPERATORS: Final = frozenset({"AND", "OR", "WITH"})


class Attribute(NamedTuple):
    """A value under which an entry stands; `kind` is `ANY_KIND` where entries of every kind are looked up together."""

    kind: str
    name: str
    value: str


class _Fields(NamedTuple):
    """Which top-level fields of a kind of record are attributes, and which are free text."""

    attributes: frozenset[str] | None
    """`None` for a kind that is not known here: whatever is a text or a whole number."""
    texts: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Whether a field is an attribute."""
        return name not in ("kind", "schema") if self.attributes is None else name in self.attributes


def attributes(kind: str, record: Json) -> list[Attribute]:
    """Every attribute of a record of a kind, each once."""
    return list(dict.fromkeys(_attributes(kind, record)))


def digests(record: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Each digest of a record (SHA-256 or a commit of git, in hex), and the JSON pointer to it."""
    if isinstance(record, str):
        if len(record) in _HEX_LENGTHS and _HEX.fullmatch(record) is not None:
            yield pointer, record
    elif isinstance(record, dict):
        for name, value in record.items():
            yield from digests(value, f"{pointer}/{name}")
    elif isinstance(record, list):
        for index, value in enumerate(record):
            yield from digests(value, f"{pointer}/{index}")


def words(text: str) -> list[str]:
    """The words of a text: letters and digits, without case and accents, each at most `LONGEST_WORD` long."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(each for each in decomposed if not unicodedata.combining(each))
    return [word[:LONGEST_WORD] for word in _WORD.findall(text.casefold())]


def _attributes(kind: str, record: Json) -> Iterator[Attribute]:
    if kind in _UNASKED:
        return
    known = _fields(kind)
    for name, value in record.items():
        if known.holds(name) and isinstance(value, str | int) and not isinstance(value, bool):
            yield Attribute(kind, name, str(value)[:LONGEST_VALUE])
    for identifier in _licences(record):
        yield Attribute(kind, LICENCE, identifier[:LONGEST_VALUE])
    yield from _beside(kind, record)
    reference = reference_of(kind, record)
    if reference is not None:
        yield Attribute(ANY_KIND, REFERENCE, reference)
        for _, digest in digests(record):
            yield Attribute(kind, DIGEST, digest)
            yield Attribute(ANY_KIND, DIGEST, digest)
        for word in _words_of(kind, record, known.texts):
            yield Attribute(ANY_KIND, WORD, word)


def _beside(kind: str, record: Json) -> Iterator[Attribute]:
    """What an edge and a stage are found by because of what they are between, and about."""
    if kind == _EDGE:
        for relation in str(record.get("relation")).split("+"):
            yield Attribute(kind, RELATION, relation[:LONGEST_VALUE])
        yield Attribute(kind, ENDS, ends(_kind_of(record.get("parent")), _kind_of(record.get("child"))))
    elif kind == STANDING:
        yield Attribute(kind, ABOUT, _kind_of(record.get("artifact")))


def ends(parent: str, child: str) -> str:
    """The value of the attribute `ENDS`: the kinds of both references, and a space between them."""
    return f"{parent} {child}"


def _kind_of(reference: object) -> str:
    """The kind of a reference, as the reference says it."""
    return str(reference).partition(":")[0]


def _licences(record: Json) -> Iterator[str]:
    """The identifiers in a record's licence, which may be an expression."""
    if isinstance(licence := record.get(LICENCE), str):
        yield from (each for each in _IDENTIFIER.findall(licence) if each not in _OPERATORS)


def _words_of(kind: str, record: Json, texts: tuple[str, ...]) -> Iterator[str]:
    """The words that a record is found by: those of its texts, and of its name unless it is a version of one."""
    name = None if whole_of(kind) is not None else name_of(kind, record)
    if name is not None:
        yield name
        yield from words(name)
    for field in texts:
        if isinstance(text := record.get(field), str):
            yield from words(text)


@cache
def _fields(kind: str) -> _Fields:
    thing = codec.KINDS.get(kind)
    if thing is None:
        return _Fields(None, ())
    indexed: set[str] = set()
    texts: list[str] = []
    for name, hint in get_type_hints(thing).items():
        union = isinstance(hint, types.UnionType)
        bare = next(arm for arm in get_args(hint) if arm is not type(None)) if union else hint
        if not isinstance(bare, type):
            continue
        if issubclass(bare, Text):
            texts.append(name)
        elif (issubclass(bare, str) and not issubclass(bare, Setting)) or issubclass(bare, Number):
            indexed.add(name)
    return _Fields(frozenset(indexed), tuple(texts))
