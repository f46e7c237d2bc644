# SPDX-License-Identifier: Apache-2.0
"""Records that are one JSON object each (RFC 8259): read strictly, and the same for everybody who asks of them."""

import json
from typing import Final


class WholeNumber(str):
    """A whole number in JSON, by its digits: only looked at, never used, so it may have any number of them."""

    __slots__ = ()


def plain_members(content: bytes) -> dict[str, object]:
    """The members of a record; its whole numbers are texts of their digits.

    Raises `ValueError`, which says in one sentence why it is not one in UTF-8 with each member once and without NaN.
    """
    return _decoded(content, _PLAIN)


def typed_members(content: bytes) -> dict[str, object]:
    """The same, with whole numbers that are not texts but `WholeNumber`."""
    return _decoded(content, _TYPED)


def _decoded(content: bytes, decoder: json.JSONDecoder) -> dict[str, object]:
    try:
        value = decoder.decode(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as exc:
        raise ValueError(f"it is not one JSON object ({exc})") from None
    if not isinstance(value, dict):
        raise ValueError("it is not one JSON object")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _decoder(whole: type[str]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=whole, parse_float=float, parse_constant=_no_constant, object_pairs_hook=_members)


_PLAIN: Final = _decoder(str)
_TYPED: Final = _decoder(WholeNumber)
