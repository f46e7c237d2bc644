# SPDX-License-Identifier: Apache-2.0
"""Values of a Parquet file as JSON, many at once where they are plain: `docs/records.md` defines what is written."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

DEEPEST: Final = 16
LONGEST_RECORD: Final = 8 << 20
"""Bytes of a row as it is written, which are those of any record (`tables.LONGEST_RECORD`)."""
TEXT: Final = pa.string()
_NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_ESCAPED: Final = b'"\\' + bytes(range(0x20))
"""What JSON writes otherwise than it is."""
_QUOTE: Final = pa.scalar('"')
NOTHING: Final = pa.scalar("")
"""These are made once: to make one takes longer than to write a thousand values."""
_NULL: Final = pa.scalar("null")
_POINT: Final = pa.scalar(".0")
_SHORT: Final = pa.scalar(1e-4), pa.scalar(1e10)
"""From the first on and below the second Arrow writes a double as Python does, but for the `.0` of whole ones."""
_ZERO: Final = pa.scalar(0.0)

Convert = Callable[[Any], Any]
encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


class Refused(Exception):
    """The file cannot be taken; the text says why."""

    def __init__(self, reason: str, row: int = 0) -> None:
        super().__init__(reason)
        self.row = row


class Column:
    """A column: the type that its values are read as, and what is made of each."""

    def __init__(self, field: Any) -> None:
        self.name = field.name
        _check_name(field.name, field.name)
        try:
            self.read_as, self.convert = _kind(field.type, field.name, 0)
        except RecursionError:
            raise _too_deep(field.name) from None
        self._cast = self.read_as != field.type

    def read(self, array: Any) -> Any:
        """The values as they are written from."""
        return array.cast(self.read_as) if self._cast else array

    def written(self, array: Any) -> Any:
        """The JSON of each value that `read` gave, as an array of texts."""
        if self.convert is None or self.convert is _finite:
            for holds, write in _WRITERS:
                if holds(self.read_as) and (found := write(array)) is not None:
                    return found.fill_null(_NULL) if found.null_count else found
        convert = self.convert
        values = array.to_pylist()
        return pa.array(
            [encode(value if value is None or convert is None else convert(value)) for value in values], TEXT
        )


def _check_name(name: str, column: str) -> None:
    if name.startswith("$"):
        raise Refused(f"column {column!r}: {name!r} begins with $, which marks values that JSON has not")


def _too_deep(column: str) -> Refused:
    return Refused(f"column {column!r} is nested deeper than {DEEPEST} levels")


def _kind(kind: Any, column: str, depth: int) -> tuple[Any, Convert | None]:
    """The type that values of this one are read as, and how each becomes JSON; None where it is JSON already."""
    if depth > DEEPEST:
        raise _too_deep(column)
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type, column, depth + 1)
    if isinstance(kind, pa.BaseExtensionType):
        return _kind(kind.storage_type, column, depth + 1)
    for holds, known in _SIMPLE:
        if holds(kind):
            return known(kind)
    for holds, nested in _NESTED:
        if holds(kind):
            return nested(kind, column, depth)
    raise Refused(f"column {column!r} has the type {str(kind)[:80]}, which is not read")


def _same(kind: Any) -> tuple[Any, Convert | None]:
    return kind, None


def _text(kind: Any) -> tuple[Any, Convert | None]:
    return TEXT, None


def _floating(kind: Any) -> tuple[Any, Convert | None]:
    return pa.float64(), _finite


def _finite(value: float) -> Any:
    if value != value:
        return {"$float": "NaN"}
    if value in (float("inf"), float("-inf")):
        return {"$float": "Infinity" if value > 0 else "-Infinity"}
    return value


def _bytes(kind: Any) -> tuple[Any, Convert | None]:
    return kind, lambda value: {"$binary": base64.b64encode(value).decode()}


def _decimal(kind: Any) -> tuple[Any, Convert | None]:
    def convert(value: Decimal) -> Any:
        return {"$decimal": format(value, "f")}

    return kind, convert


def _date(kind: Any) -> tuple[Any, Convert | None]:
    if pa.types.is_date64(kind):
        return pa.int64(), lambda value: {"$date": value // 86_400_000}
    return pa.int32(), lambda value: {"$date": value}


def _clock(kind: Any) -> tuple[Any, Convert | None]:
    whole = pa.int32() if kind.bit_width == 32 else pa.int64()
    return whole, _times("$time", kind.unit)


def _timestamp(kind: Any) -> tuple[Any, Convert | None]:
    return pa.int64(), _times("$datetime" if kind.tz is None else "$timestamp", kind.unit)


def _duration(kind: Any) -> tuple[Any, Convert | None]:
    return pa.int64(), _times("$duration", kind.unit)


def _times(mark: str, unit: str) -> Convert:
    factor = _NANOSECONDS[unit]
    return lambda value: {mark: value * factor}


def _list(kind: Any, column: str, depth: int) -> tuple[Any, Convert | None]:
    inner, convert = _kind(kind.value_type, column, depth + 1)
    read_as = pa.list_(inner, kind.list_size) if pa.types.is_fixed_size_list(kind) else pa.list_(inner)
    return read_as, None if convert is None else lambda values: [_or_null(convert, value) for value in values]


def _struct(kind: Any, column: str, depth: int) -> tuple[Any, Convert | None]:
    names = [field.name for field in kind]
    if len(set(names)) != len(names):
        raise Refused(f"column {column!r} has a member twice")
    for name in names:
        _check_name(name, column)
    kinds = [_kind(field.type, column, depth + 1) for field in kind]
    members = [(name, convert) for name, (_, convert) in zip(names, kinds, strict=True) if convert is not None]

    def convert_all(value: dict[str, Any]) -> Any:
        for name, convert in members:
            value[name] = _or_null(convert, value[name])
        return value

    read_as = pa.struct([pa.field(name, inner) for name, (inner, _) in zip(names, kinds, strict=True)])
    return read_as, convert_all if members else None


def _map(kind: Any, column: str, depth: int) -> tuple[Any, Convert | None]:
    key_type, key = _kind(kind.key_type, column, depth + 1)
    item_type, item = _kind(kind.item_type, column, depth + 1)

    def convert(pairs: list[tuple[Any, Any]]) -> Any:
        return {"$map": [[_or_null(key, one), _or_null(item, other)] for one, other in pairs]}

    return pa.map_(key_type, item_type), convert


def _or_null(convert: Convert | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


_SIMPLE: Final = (
    (pa.types.is_null, _same),
    (pa.types.is_boolean, _same),
    (pa.types.is_integer, _same),
    (pa.types.is_floating, _floating),
    (pa.types.is_string, _same),
    (pa.types.is_large_string, _same),
    (pa.types.is_string_view, _text),
    (pa.types.is_binary, _bytes),
    (pa.types.is_large_binary, _bytes),
    (pa.types.is_binary_view, lambda _: _bytes(pa.binary())),
    (pa.types.is_fixed_size_binary, _bytes),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_date, _date),
    (pa.types.is_time, _clock),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_duration, _duration),
)
_NESTED: Final = (
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_list_view, _list),
    (pa.types.is_large_list_view, _list),
    (pa.types.is_fixed_size_list, _list),
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
)


# --- Many values at once --------------------------------------------------------------------------------------------


def is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _write_plain(values: Any) -> Any:
    """Whole numbers and booleans."""
    return values.cast(TEXT)


def _write_floats(values: Any) -> Any:
    """Doubles; None where one is not a number."""
    size = pc.abs(values)
    short = pc.or_(pc.and_(pc.greater_equal(size, _SHORT[0]), pc.less(size, _SHORT[1])), pc.equal(size, _ZERO))
    if pc.all(short, min_count=0).as_py():
        texts = values.cast(TEXT)
        whole = pc.equal(pc.floor(values), values)
        return pc.if_else(whole, pc.binary_join_element_wise(texts, _POINT, NOTHING), texts)
    if pc.all(pc.is_finite(values), min_count=0).as_py() is False:
        return None
    return pa.array([None if value is None else repr(value) for value in values.to_pylist()], TEXT)


def _write_texts(values: Any) -> Any:
    """Texts; None where one is escaped, or is not UTF-8."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return None
    texts = values.cast(TEXT)
    content = bytes_of(texts)
    if len(content.translate(None, _ESCAPED)) < len(content):
        return None
    return pc.binary_join_element_wise(_QUOTE, texts, _QUOTE, NOTHING)


def bytes_of(texts: Any) -> bytes:
    """The bytes of all texts of an array, one after another."""
    _, places, content = texts.buffers()
    if content is None or not len(texts):
        return b""
    ends = memoryview(places).cast("i")
    return bytes(memoryview(content)[ends[texts.offset] : ends[texts.offset + len(texts)]])


_WRITERS: Final = (
    (pa.types.is_integer, _write_plain),
    (pa.types.is_boolean, _write_plain),
    (pa.types.is_floating, _write_floats),
    (is_text, _write_texts),
)
