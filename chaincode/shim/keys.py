# SPDX-License-Identifier: Apache-2.0
"""Composite and simple keys with the checks of the Go runtime (rules S-23 and S-24)."""

from collections.abc import Sequence

_SEPARATOR = "\x00"
_GREATEST = "\U0010ffff"
_AFTER_EMPTY = "\x01"
"""Stands for an open start, so that a range of simple keys leaves composite keys out."""


def create_composite_key(object_type: str, parts: Sequence[str]) -> str:
    """Join a type and its parts into one key; `split_composite_key` undoes it.

    Raises:
        ValueError: when a part holds U+0000 or U+10FFFF, or is not valid Unicode.
        TypeError: when `parts` is a single string, whose characters would become the parts.
    """
    if isinstance(parts, str):
        raise TypeError("the parts of a composite key are a sequence of strings, not one string")
    return _SEPARATOR + "".join(_checked(part) + _SEPARATOR for part in (object_type, *parts))


def split_composite_key(key: str) -> tuple[str, tuple[str, ...]]:
    """The type and the parts of a composite key.

    Raises:
        ValueError: when `key` is not a composite key.
    """
    if len(key) < 2 or not key.startswith(_SEPARATOR) or not key.endswith(_SEPARATOR):
        raise ValueError("not a composite key")
    object_type, *parts = key[1:-1].split(_SEPARATOR)
    return object_type, tuple(parts)


def composite_range(object_type: str, parts: Sequence[str]) -> tuple[str, str]:
    """The range of all composite keys that begin with these parts."""
    start = create_composite_key(object_type, parts)
    return start, start + _GREATEST


def simple_range(start: str, end: str) -> tuple[str, str]:
    """The range of simple keys from `start` to before `end`; an empty string leaves that side open.

    Raises:
        ValueError: when one of them begins with U+0000 and so is not a simple key.
    """
    for key in (start, end):
        if key.startswith(_SEPARATOR):
            raise ValueError("a simple key does not begin with U+0000")
    return start or _AFTER_EMPTY, end


def _checked(part: str) -> str:
    if not isinstance(part, str):
        raise TypeError("the parts of a composite key are strings")
    for position, character in enumerate(part):
        if character in (_SEPARATOR, _GREATEST):
            raise ValueError(f"U+{ord(character):04X} at position {position} is not allowed in a composite key")
    try:
        part.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a part of a composite key is not valid Unicode") from error
    return part
