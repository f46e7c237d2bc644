# SPDX-License-Identifier: Apache-2.0
"""Typed reading of a parsed description; whatever is wrong raises one `TopologyError` that names the field."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST_SHOWN = 200
"""Characters of a value in a message."""
_LONGEST_NUMBER = 64
"""Bits."""
_DURATION = re.compile(r"(\d{1,9})(ms|s)")


class TopologyError(ValueError):
    """Refuses a description; `field` is the path of what is wrong, such as `organisations[1].peer`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def mapping(entry: object, path: str, *, required: Sequence[str], optional: Sequence[str]) -> Mapping[str, Any]:
    """A mapping with these keys and no others."""
    if not isinstance(entry, dict):
        raise TopologyError(path, f"must be a mapping, not {_kind(entry)}")
    for key in entry:
        if key not in required and key not in optional:
            named = key if isinstance(key, str) and key.isprintable() and len(key) <= _LONGEST_SHOWN else shown(key)
            raise TopologyError(f"{path}.{named}", "is not a known field")
    for key in required:
        if key not in entry:
            raise TopologyError(f"{path}.{key}", "is missing")
    return entry


def filled_list(entry: object, path: str) -> list[Any]:
    """A list with at least one entry."""
    if not isinstance(entry, list) or not entry:
        raise TopologyError(path, f"must be a list with at least one entry, not {_kind(entry)}")
    return entry


def any_list(entry: object, path: str) -> list[Any]:
    """A list."""
    if not isinstance(entry, list):
        raise TopologyError(path, f"must be a list, not {_kind(entry)}")
    return entry


def choice(value: object, path: str, among: Sequence[str]) -> str:
    """One of the words in `among`."""
    if value not in among:
        raise TopologyError(path, f"{shown(value)} is none of {', '.join(among)}")
    return str(value)


def text(value: object, path: str, pattern: re.Pattern[str], what: str) -> str:
    """Text of the form that `pattern` describes and `what` names."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TopologyError(path, f"{shown(value)} is not {what}")
    return value


def milliseconds(value: object, path: str) -> int:
    """A duration such as `100ms` or `2s`, in milliseconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise TopologyError(path, f"{shown(value)} is not a duration such as 100ms or 2s")
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def positive(value: object, path: str) -> int:
    """A whole number from 1 to 2^31 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise TopologyError(path, f"{shown(value)} is not a positive whole number below 2^31")
    return value


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "an empty list" if value == [] else "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), shown(value))


def shown(value: object) -> str:
    """A value as a message may show it, even one that a stranger wrote: on one line, and short.

    Lists that hold themselves many times over, as aliases of YAML can, would fill the memory, and Python refuses to
    write a number of thousands of digits.
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return "a number of more than 64 bits"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
