# SPDX-License-Identifier: Apache-2.0
"""The one JSON of the ledger: sorted, compact, UTF-8, integers within ±(2^53−1), no floats.

On what it admits, `encode` gives the bytes of RFC 8785. `parse` reads JSON in any layout, but refuses whatever two
readers could understand differently: floats, NaN, duplicate names, integers that lose digits, text that is not in
normal form C, names that are not ASCII, depth beyond 32. Each refusal names the place by a JSON pointer (RFC 6901).
"""

import json
from collections.abc import Iterable
from typing import Final, NoReturn

from chaincode.domain.errors import (
    DuplicateName,
    FloatRefused,
    IntegerOutOfRange,
    InvalidField,
    InvalidJson,
    NotANumber,
    TooDeep,
    TooLarge,
)
from chaincode.domain.text import refuse_unnormalised
from chaincode.domain.values import MAX_INTEGER

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

MAX_DEPTH: Final = 32
"""The most arrays and objects inside one another."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest document, in bytes."""
MAX_SHOWN: Final = 64
"""The longest part of somebody's text that a refusal repeats, in characters."""


class _Float:
    """Stands where a number with a fraction or exponent was read."""


class _Constant:
    """Stands where NaN or an infinity was read."""


class _Wide:
    """Stands where an integer with too many digits to convert was read."""


class _Repeated:
    """Stands where an object named a member twice."""

    def __init__(self, name: str) -> None:
        self.name = name


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`; refuses what the ledger does not hold, and what `parse` would not read back."""
    _judge(value)
    data = _ENCODER.encode(value).encode()
    if len(data) > MAX_BYTES:
        raise TooLarge("", MAX_BYTES)
    return data


def parse(data: bytes) -> Json:
    """Read JSON; `InvalidJson`, `TooLarge` or one of the refusals above for anything that is not plain."""
    if len(data) > MAX_BYTES:
        raise TooLarge("", MAX_BYTES)
    # Nearly everything is plain, and is found to be while it is read. What is not is read again, and named.
    if data.isascii() and b"\\" not in data and data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        try:
            return _PLAIN_DECODER.decode(data.decode("ascii"))  # type: ignore[no-any-return]  # hooks saw every value
        except (_NotPlain, json.JSONDecodeError):
            pass
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise InvalidJson("it is not UTF-8") from None
    except RecursionError:
        raise TooDeep(MAX_DEPTH) from None
    except json.JSONDecodeError as exc:
        raise InvalidJson(f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from None
    _judge(value)
    return value  # type: ignore[no-any-return]  # every value in it was seen


def _integer(digits: str) -> object:
    return int(digits) if len(digits) <= 17 else _Wide()


def _object(pairs: list[tuple[str, object]]) -> object:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    return _Repeated(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]


class _NotPlain(Exception):
    """Something was read that needs a closer look."""


def _refuse_plainness(_: str) -> NoReturn:
    raise _NotPlain


def _short_integer(digits: str) -> int:
    if len(digits) > _SHORT_DIGITS:
        raise _NotPlain
    return int(digits)


def _plain_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotPlain
    return members


_SHORT_DIGITS: Final = 15
"""Characters of an integer that is surely within `MAX_INTEGER`."""
_PLAIN_DECODER: Final = json.JSONDecoder(
    parse_float=_refuse_plainness,
    parse_constant=_refuse_plainness,
    parse_int=_short_integer,
    object_pairs_hook=_plain_object,
)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder(
    parse_float=lambda _: _Float(),
    parse_constant=lambda _: _Constant(),
    parse_int=_integer,
    object_pairs_hook=_object,
)


def _judge(value: object) -> None:
    """Refuse what the ledger does not hold. Nearly everything is plain, and no pointer is made for what is."""
    if not _is_plain(value, 0):
        _check(value, "", 0)


def _is_plain(value: object, depth: int) -> bool:
    """Whether `_check` would surely find nothing: not where a text is not ASCII, although it may be in order."""
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not name.isascii():
                return False
        return depth < MAX_DEPTH and _are_plain(value.values(), depth + 1)
    if isinstance(value, list):
        return depth < MAX_DEPTH and _are_plain(value, depth + 1)
    return value is None or (isinstance(value, int) and abs(value) <= MAX_INTEGER)


def _are_plain(values: Iterable[object], depth: int) -> bool:
    for value in values:  # noqa: SIM110 - most of what is done to a record is done here, and `all` takes longer
        if not _is_plain(value, depth):
            return False
    return True


def _check(value: object, pointer: str, depth: int) -> None:
    match value:
        case int() if abs(value) > MAX_INTEGER:
            raise IntegerOutOfRange(pointer)
        case None | int():  # and so true and false
            pass
        case str():
            refuse_unnormalised(value, pointer)
        case list():
            _refuse_depth(depth)
            for index, item in enumerate(value):
                _check(item, f"{pointer}/{index}", depth + 1)
        case dict():
            _refuse_depth(depth)
            for name, item in value.items():
                _check_name(name, pointer)
                _check(item, f"{pointer}/{escape(name)}", depth + 1)
        case _:
            _refuse(value, pointer)


def _refuse_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise TooDeep(MAX_DEPTH)


def _check_name(name: object, pointer: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a JSON name must be a string, not {type(name).__name__}")
    if not name.isascii():
        where = f"{pointer}/{escape(name)}"
        refuse_unnormalised(name, where)
        raise InvalidField(where, "names must be ASCII")


def _refuse(value: object, pointer: str) -> NoReturn:
    match value:
        case _Constant():
            raise NotANumber(pointer)
        case float():
            raise FloatRefused(pointer) if value == value and abs(value) != float("inf") else NotANumber(pointer)
        case _Float():
            raise FloatRefused(pointer)
        case _Wide():
            raise IntegerOutOfRange(pointer)
        case _Repeated(name=name):
            raise DuplicateName(f"{pointer}/{escape(name)}")
    raise TypeError(f"{type(value).__name__} cannot be in JSON")


def escape(name: str) -> str:
    """`name` as a token of a JSON pointer (RFC 6901, section 3).

    A name that cannot be on the ledger is shown so that the refusal that names it can: `?` for whatever is not
    ASCII, and at most 64 characters.
    """
    shown = name if len(name) <= MAX_SHOWN else name[:MAX_SHOWN] + "..."
    return shown.encode("ascii", "replace").decode().replace("~", "~0").replace("/", "~1")
