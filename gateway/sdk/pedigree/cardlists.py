# SPDX-License-Identifier: Apache-2.0
"""What a Croissant card lists: its files and sets of files, and which columns its record sets read from them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_SIZE: Final = re.compile(r"([0-9]{1,18})(?: ?B)?")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a card lists, or a set of files."""

    id: str
    names: tuple[str, ...]
    """What a copy may be called, or end with: name, identifier, and path of `contentUrl`."""
    sha256: str | None
    md5: str | None
    size: int | None
    """Bytes, where the card says them exactly."""
    media_type: str | None
    is_within: bool
    """Whether it is a part of another file, such as an archive."""
    patterns: tuple[str, ...] = ()
    """Of a set: what the paths of its files look like."""

    @property
    def is_expected(self) -> bool:
        """Whether a copy of the data has it as a file of its own, which can be compared."""
        return not self.is_within and (self.sha256 is not None or self.md5 is not None)

    def holds(self, path: str, matches: Callable[[str, str], bool]) -> bool:
        """Whether a file of this path is in the set."""
        return any(matches(path, pattern) or matches(path, f"*/{pattern}") for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Source:
    """A column that a record set reads, and the file or set of files that it reads it from, by their identifiers."""

    record_set: str
    file: str
    column: str


def listed(said: Mapping[str, Any]) -> list[Listed]:
    """Every file and set of files that a card lists, in its order; what is not described as one is passed over."""
    found = []
    for place, one in enumerate(each(said.get("distribution"))):
        if isinstance(one, dict):
            kind = str(one.get("@type", ""))
            if kind.endswith(("FileObject", "FileSet")):
                found.append(_listed(one, place, is_set=kind.endswith("FileSet")))
    return found


def _listed(one: Mapping[str, Any], place: int, *, is_set: bool) -> Listed:
    name, identifier = _text(one.get("name")), _text(one.get("@id"))
    path = _path(_text(one.get("contentUrl")))
    names = (name, identifier, path, path.rpartition("/")[2])
    types = [kind for kind in each(one.get("encodingFormat")) if isinstance(kind, str)]
    patterns = tuple(pattern for pattern in each(one.get("includes")) if isinstance(pattern, str) and pattern)
    return Listed(
        id=identifier or name or path or f"/distribution/{place}",
        names=() if is_set else tuple(dict.fromkeys(filter(None, names))),
        sha256=_digest(one.get("sha256"), _SHA256),
        md5=_digest(one.get("md5"), _MD5),
        size=_size(one.get("contentSize")),
        media_type=types[0].lower() if types else None,
        is_within=is_set or "containedIn" in one,
        patterns=patterns if is_set else (),
    )


def sources(said: Mapping[str, Any]) -> Iterator[Source]:
    """Every column that the card's record sets read, members of fields included; each once for a record set."""
    for place, record_set in enumerate(each(said.get("recordSet"))):
        if not isinstance(record_set, dict):
            continue
        name = _text(record_set.get("name")) or _text(record_set.get("@id")) or f"/recordSet/{place}"
        read: dict[tuple[str, str], None] = {}
        waiting = list(reversed(each(record_set.get("field"))))
        while waiting:
            field = waiting.pop()
            if isinstance(field, dict):
                read |= dict.fromkeys(_read(field.get("source")))
                waiting += reversed(each(field.get("subField")))
        for file, column in read:
            yield Source(name, file, column)


def _read(source: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(source, dict):
        return
    extract = source.get("extract")
    column = extract.get("column") if isinstance(extract, dict) else None
    if not isinstance(column, str):
        return
    for member in ("fileObject", "fileSet", "distribution"):
        for one in each(source.get(member)):
            identifier = one.get("@id") if isinstance(one, dict) else one
            if isinstance(identifier, str):
                yield identifier, column


def each(given: Any) -> list[Any]:
    """The items of a list; JSON-LD writes a list of one as that one."""
    return given if isinstance(given, list) else [] if given is None else [given]


def _text(given: Any) -> str:
    return given.strip() if isinstance(given, str) else ""


def _path(address: str) -> str:
    """The path in an address, or of a file beside the card, without slashes before it."""
    try:
        return unquote(urlsplit(address).path).strip("/").removeprefix("./")
    except ValueError:
        return ""


def _digest(given: Any, form: re.Pattern[str]) -> str | None:
    return given.lower() if isinstance(given, str) and form.fullmatch(given) else None


def _size(given: Any) -> int | None:
    """Bytes; None where the card says none, or a rounded number of larger units."""
    found = _SIZE.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is not None:
        return int(found[1])
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None
