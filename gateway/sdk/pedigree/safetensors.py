# SPDX-License-Identifier: Apache-2.0
"""Evidence inside a model's own file: put into the metadata of a `.safetensors` file, and taken out again.

Such a file begins with the length of its header in 8 bytes, least significant first, and the header, a JSON object: of
each tensor where its bytes are, and under ``__metadata__`` texts by name. The evidence is one more text, `KEY`. Nothing
else of the file changes, so that taking it out gives the file's former bytes, and the digest that the ledger has of
them. What was added stands directly behind an opening brace, begins with the spaces that keep the header's length a
multiple of 8 where it was one, and ends with the value, or with the comma behind it. Other metadata, a C2PA manifest
among them, stays as it is; a hash that such a manifest has of the header no longer fits while the evidence is in it.

The format is that of the library `safetensors`; a header has at most 100,000,000 bytes there.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from pedigree.errors import InvalidInput
from pedigree.files import Progress
from pedigree.folders import identity_of
from pedigree.saving import replacing

KEY: Final = "pedigree:receipt"
"""The name of the evidence in the metadata."""
METADATA: Final = "__metadata__"
MOST_EVIDENCE: Final = 16 << 20
"""Bytes of evidence, at most."""

_SCHEMA: Final = 1
_LARGEST_HEADER: Final = 100_000_000
_PIECE: Final = 1 << 18
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_scan: Final = json.JSONDecoder().raw_decode
_WHOLE_METADATA: Final = "metadata"
_ONE_MEMBER: Final = "member"


@dataclass(frozen=True, slots=True)
class Contained:
    """What a file holds beside its tensors."""

    evidence: str
    """As it was put in: the text of a file of evidence."""
    digest: str
    """SHA-256 of the file without it, in lowercase hex."""
    size: int
    """Bytes of the file without it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a header the evidence is, or would be put."""

    start: int
    """Directly behind an opening brace."""
    empty: bool
    """Whether that object has no member (but the evidence)."""
    in_metadata: bool
    value: str | None = None
    """The evidence that is there."""
    end: int = 0
    """Behind the evidence, and the comma that follows it."""


def embed(source: Path | str, evidence: str, target: Path | str, progress: Progress = None) -> None:
    """Write a copy of a `.safetensors` file with evidence in it; `target` is whole or not there, and may be `source`.

    Evidence that is in it is replaced. Raises `InvalidInput` for what is not such a file, and for evidence that is
    too large or not JSON; `ValueError` for a file that changes meanwhile; `OSError`.
    """
    if len(evidence.encode()) > MOST_EVIDENCE:
        raise InvalidInput(f"the evidence has more than {MOST_EVIDENCE:,} bytes", field="evidence")
    try:
        json.loads(evidence)
    except (ValueError, RecursionError):
        raise InvalidInput("the evidence is not JSON", field="evidence") from None
    source = Path(source)
    with source.open("rb") as file:
        before = identity_of(source.stat())
        header = _without(_header(source, file), source)[0]
        place = _find(header, source)
        header = header[: place.start] + _added(place, evidence) + header[place.start :]
        encoded = header.encode()
        if len(encoded) > _LARGEST_HEADER:
            detail = f"{source}: with the evidence its header is longer than {_LARGEST_HEADER:,} bytes"
            raise InvalidInput(detail, field="evidence")
        with replacing(Path(target)) as out:
            for piece in chain([len(encoded).to_bytes(8, "little"), encoded], _rest(file)):
                out.write(piece)
                if progress is not None:
                    progress(len(piece))
            if identity_of(source.stat()) != before:
                raise ValueError(f"{source} was changed while it was read")


def extract(source: Path | str, progress: Progress = None) -> Contained:
    """The evidence in a `.safetensors` file, and what the file is without it.

    Raises `InvalidInput` for what is not such a file, and for one without evidence; `OSError`.
    """
    source = Path(source)
    with source.open("rb") as file:
        header, evidence = _without(_header(source, file), source)
        if evidence is None:
            raise InvalidInput(f"{source} holds no evidence: its metadata has no {KEY!r}", field=KEY)
        encoded = header.encode()
        digest, size = hashlib.sha256(), 0
        for piece in chain([len(encoded).to_bytes(8, "little"), encoded], _rest(file)):
            digest.update(piece)
            size += len(piece)
            if progress is not None:
                progress(len(piece))
    return Contained(evidence, digest.hexdigest(), size)


def holds_evidence(source: Path | str) -> bool:
    """Whether there is evidence in a `.safetensors` file; raises `InvalidInput` for what is not such a file."""
    source = Path(source)
    with source.open("rb") as file:
        return _find(_header(source, file), source).value is not None


def is_safetensors(source: Path | str) -> bool:
    """Whether a file begins as a `.safetensors` file does; raises `OSError`."""
    with Path(source).open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= _LARGEST_HEADER


def _header(source: Path, file: BinaryIO) -> str:
    length = int.from_bytes(start, "little") if len(start := file.read(8)) == 8 else 0
    if not 2 <= length <= _LARGEST_HEADER:
        raise _other(source, f"its first 8 bytes must be a length from 2 to {_LARGEST_HEADER:,}")
    data = file.read(length)
    if len(data) != length:
        raise _other(source, f"it ends after {len(data):,} of {length:,} bytes of header")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _other(source, "its header is not UTF-8") from None
    if not text.startswith("{"):
        raise _other(source, "its header must begin with '{'")
    return text


def _other(source: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{source} is not a safetensors file: {why}", field="file")


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _without(header: str, source: Path) -> tuple[str, str | None]:
    """A header as it was without evidence, and the evidence, if there is any."""
    place = _find(header, source)
    if place.value is None:
        return header, None
    added, evidence = _read(place.value, source)
    if added == _ONE_MEMBER:
        return header[: place.start] + header[place.end :], evidence
    # All of the metadata was added, directly behind the first brace.
    first, _, end = next(_members(header, 1, source))
    if first != METADATA or not place.empty:
        raise InvalidInput(f"{source}: {KEY!r} says that the metadata were added for it, which does not fit", field=KEY)
    return header[:1] + header[_behind_comma(header, end) :], evidence


def _read(value: str, source: Path) -> tuple[str, str]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not (
        isinstance(found, dict)
        and found.keys() == {"schema", "added", "evidence"}
        and found["schema"] == _SCHEMA
        and found["added"] in (_WHOLE_METADATA, _ONE_MEMBER)
        and isinstance(found["evidence"], str)
    ):
        raise InvalidInput(f"{source}: {KEY!r} is not evidence of the form that is known here", field=KEY)
    return found["added"], found["evidence"]


def _added(place: _Place, evidence: str) -> str:
    """What is put at a place: of a length that is a multiple of 8."""
    kind = _ONE_MEMBER if place.in_metadata else _WHOLE_METADATA
    value = json.dumps({"schema": _SCHEMA, "added": kind, "evidence": evidence})
    text = f"{json.dumps(KEY)}:{json.dumps(value)}"
    if not place.in_metadata:
        text = f"{json.dumps(METADATA)}:{{{text}}}"
    text += "" if place.empty else ","
    return " " * (-len(text) % 8) + text  # all of it is ASCII, so that bytes are characters


def _find(header: str, source: Path) -> _Place:
    """Where the evidence is; where there is none, where it is to be put."""
    place: _Place | None = None
    count = 0
    for name, start, end in _members(header, 1, source):
        count += 1
        if name == METADATA:
            if place is not None:
                raise InvalidInput(f"{source}: its header has {METADATA} twice", field=METADATA)
            place = _in_metadata(header, start, end, source)
    return place or _Place(1, count == 0, in_metadata=False)


def _in_metadata(header: str, start: int, end: int, source: Path) -> _Place:
    if header[start] != "{":
        raise InvalidInput(f"{source}: {METADATA} must be an object of texts", field=METADATA)
    members = list(_members(header, start + 1, source))
    found = [number for number, (name, _, _) in enumerate(members) if name == KEY]
    if not found:
        return _Place(start + 1, not members, in_metadata=True)
    if found != [0]:
        raise InvalidInput(f"{source}: {KEY!r} must be the first of the metadata, and there once", field=KEY)
    _, value_start, value_end = members[0]
    value, _ = _scan(header, value_start)
    if not isinstance(value, str):
        raise InvalidInput(f"{source}: {KEY!r} is not evidence of the form that is known here", field=KEY)
    behind = _behind_comma(header, value_end)
    return _Place(start + 1, len(members) == 1, in_metadata=True, value=value, end=behind)


def _behind_comma(header: str, end: int) -> int:
    """Behind the comma that follows directly; where it does not, there is nothing behind."""
    return end + header.startswith(",", end)


def _members(text: str, at: int, source: Path) -> Iterator[tuple[str, int, int]]:
    """The name of each member of the JSON object whose opening brace is before `at`, and where its value is.

    One at a time, because a header can be long; what follows the object is not looked at.
    """
    at = _skip(text, at)
    if text.startswith("}", at):
        return
    try:
        while True:
            if not text.startswith('"', at):
                raise ValueError("a name is missing")
            name, at = _scan(text, at)
            at = _skip(text, at)
            if not text.startswith(":", at):
                raise ValueError("':' is missing")
            start = _skip(text, at + 1)
            _, at = _scan(text, start)
            yield name, start, at
            at = _skip(text, at)
            if text.startswith("}", at):
                return
            if not text.startswith(",", at):
                raise ValueError("',' or '}' is missing")
            at = _skip(text, at + 1)
    except (ValueError, RecursionError) as error:
        said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _other(source, f"its header is not JSON: {said}") from None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
