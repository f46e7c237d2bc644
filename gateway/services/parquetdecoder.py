# SPDX-License-Identifier: Apache-2.0
"""The rows of a Parquet file, written as canonical JSON: a program of its own, because its input is a stranger's.

It is started with nothing but its file: no environment, no other descriptor, and limits on memory and processor time
which the kernel keeps. What the reader in C++ makes of malformed bytes can end this process and nothing else. What a
row's bytes are, `docs/records.md` defines.

Standard input is the file. Standard output is frames: one byte that names the kind, four bytes of length (big-endian),
and as many bytes:

- ``C``: ``{"fields": ["age", "id"], "rows": 2}``: the columns' names in code point order, and how many rows come;
- ``R``: rows: their number, for each the length of its id and of its content (all in four bytes, little-endian), then
  all ids and all contents in UTF-8;
- ``E``: what cannot be read: ``{"row": 7, "reason": "…"}``, with row 0 for the file as a whole;
- ``Z``: nothing follows; without it the rows are not whole.

Arguments: the column of ids (empty for numbered rows), and bytes of content and rows that the file may come to.
"""

import base64
import json
import os
import resource
import sys
from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LONGEST_FOOTER: Final = 16 << 20
MOST_COLUMNS: Final = 16_384
DEEPEST: Final = 16
LONGEST_ROW: Final = 128 << 20
_MEMORY: Final = 1 << 30
"""Bytes of address space beside what the libraries take."""
_SECONDS: Final = 600
"""Seconds of processor time: a file of the greatest size takes about 120."""
_BATCH: Final = 4 << 20
"""Bytes of values that are decoded at once, as the file states them, and of rows that are written at once."""
_MOST_ROWS: Final = 2_048
_PAGES: Final = 1 << 16
_MAGIC: Final = b"PAR1"
_NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

Convert = Callable[[Any], Any]
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


class Refused(Exception):
    """The file cannot be taken; the text says why."""

    def __init__(self, reason: str, row: int = 0) -> None:
        super().__init__(reason)
        self.row = row


def main(arguments: list[str]) -> int:
    """Write the frames of standard input's rows; exit code 1 where there is a frame ``E``."""
    id_field, most_bytes, most_rows = arguments[0], int(arguments[1]), int(arguments[2])
    out = sys.stdout.buffer
    _limit()
    try:
        for kind, payload in _frames("/dev/fd/0", id_field, most_bytes, most_rows):
            out.write(kind + len(payload).to_bytes(4) + payload)
    except Refused as exc:
        return _refuse(exc.row, str(exc))
    except (MemoryError, pa.ArrowMemoryError):
        return _refuse(0, f"its values need more than {_MEMORY >> 20} MiB of memory at once; write smaller row groups")
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as exc:
        return _refuse(0, f"it is not a Parquet file that can be read ({_first_line(exc)})")
    out.write(b"Z\0\0\0\0")
    out.flush()
    return 0


def _refuse(row: int, reason: str) -> int:
    payload = json.dumps({"row": row, "reason": reason}).encode()
    sys.stdout.buffer.write(b"E" + len(payload).to_bytes(4) + payload)
    sys.stdout.buffer.flush()
    return 1


def _limit() -> None:
    """Have the kernel refuse what no honest file needs."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - nothing else is imported for it
            taken = int(file.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:  # no Linux: the limits of the format and on the output remain
        return
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))


def _frames(path: str, id_field: str, most_bytes: int, most_rows: int) -> Iterator[tuple[bytes, bytes]]:
    _check_ends(path)
    with (
        pa.OSFile(path) as source,
        pq.ParquetFile(
            source,
            pre_buffer=False,
            buffer_size=_PAGES,
            thrift_string_size_limit=LONGEST_FOOTER,
            thrift_container_size_limit=1 << 20,
            page_checksum_verification=True,
        ) as file,
    ):
        meta = file.metadata
        if meta.num_columns > MOST_COLUMNS:
            raise Refused(f"it has {meta.num_columns} columns; at most {MOST_COLUMNS} are read")
        if not 0 <= meta.num_rows <= most_rows:
            raise Refused(f"it states {meta.num_rows} rows; at most {most_rows} are read")
        schema = file.schema_arrow
        columns = _columns(schema)
        if id_field and id_field not in schema.names:
            raise Refused(f"there is no column {id_field!r}; there are {', '.join(schema.names)[:200]}")
        yield b"C", json.dumps({"fields": sorted(schema.names), "rows": meta.num_rows}).encode()
        rows = _Rows(columns, id_field, most_bytes)
        for group in range(meta.num_row_groups):
            for batch in file.iter_batches(_rows_at_once(meta.row_group(group)), [group], use_threads=False):
                yield from rows.of(batch)
        if rows.count != meta.num_rows:
            raise Refused(f"it states {meta.num_rows} rows and holds {rows.count}")


def _check_ends(path: str) -> None:
    """Check what frames the file, before anything of it is decoded (Parquet format, section 'File format')."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        end = os.pread(descriptor, 8, max(0, size - 8))
        if size < 12 or os.pread(descriptor, 4, 0) != _MAGIC or end[4:] != _MAGIC:
            raise Refused("it is not Parquet: it does not begin and end with PAR1 (encrypted footers are not read)")
        footer = int.from_bytes(end[:4], "little")
        if footer > size - 12:
            raise Refused("its footer is longer than the file; it was cut off")
        if footer > LONGEST_FOOTER:
            raise Refused(f"its footer has {footer} bytes; at most {LONGEST_FOOTER} are read")
    finally:
        os.close(descriptor)


def _rows_at_once(group: Any) -> int:
    """Rows of a group that have about `_BATCH` bytes; a group may state anything, and one row is always read."""
    each = max(1, group.total_byte_size // max(1, group.num_rows), 16 * group.num_columns)
    return max(1, min(_MOST_ROWS, _BATCH // int(each)))


# --- Types ----------------------------------------------------------------------------------------------------------


class _Column:
    """A column: the type that its values are read as, and what is made of each."""

    def __init__(self, field: Any) -> None:
        self.name = field.name
        _check_name(field.name, field.name)
        try:
            self.read_as, self.convert = _kind(field.type, field.name, 0)
        except RecursionError:
            raise _too_deep(field.name) from None
        self._cast = self.read_as != field.type
        self._floats = pa.types.is_floating(field.type)

    def values(self, array: Any) -> list[Any]:
        """What JSON is to hold of them."""
        if self._cast:
            array = array.cast(self.read_as)
        found: list[Any] = array.to_pylist()
        if self.convert is None or (self._floats and pc.all(pc.is_finite(array), min_count=0).as_py() is not False):
            return found
        convert = self.convert
        return [None if value is None else convert(value) for value in found]


def _columns(schema: Any) -> list[_Column]:
    if not schema.names:
        raise Refused("it has no column")
    if len(set(schema.names)) != len(schema.names):
        raise Refused("a column name is there twice")
    return [_Column(field) for field in schema]


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
    for holds, known in _SIMPLE:
        if holds(kind):
            return known(kind)
    for holds, nested in _NESTED:
        if holds(kind):
            return nested(kind, column, depth)
    raise Refused(f"column {column!r} has the type {str(kind)[:80]}, which is not read")


def _same(kind: Any) -> tuple[Any, Convert | None]:
    return kind, None


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
    (pa.types.is_binary, _bytes),
    (pa.types.is_large_binary, _bytes),
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
    (pa.types.is_fixed_size_list, _list),
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
)


# --- Rows -----------------------------------------------------------------------------------------------------------


class _Rows:
    """Makes frames of batches; counts rows and bytes, and refuses more than may be."""

    def __init__(self, columns: list[_Column], id_field: str, most_bytes: int) -> None:
        self._columns = columns
        self._id_field = id_field
        self._left = most_bytes
        self.count = 0

    def of(self, batch: Any) -> Iterator[tuple[bytes, bytes]]:
        """The frames of one batch, about `_BATCH` bytes each."""
        names = [column.name for column in self._columns]
        try:
            values = [column.values(batch.column(place)) for place, column in enumerate(self._columns)]
        except UnicodeDecodeError:
            raise Refused("a text is not UTF-8", self.count + 1) from None
        ids = values[names.index(self._id_field)] if self._id_field else None
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for index, row in enumerate(zip(*values, strict=True)):
            self.count += 1
            content = _ENCODE(dict(zip(names, row, strict=True))).encode()
            self._count(len(content))
            found.append((self._id(None if ids is None else ids[index]), content))
            size += len(content)
            if size >= _BATCH:
                yield b"R", _packed(found)
                found, size = [], 0
        if found:
            yield b"R", _packed(found)

    def _count(self, size: int) -> None:
        if size > LONGEST_ROW:
            raise Refused(f"it has {size} bytes; a row has at most {LONGEST_ROW}", self.count)
        self._left -= size
        if self._left < 0:
            raise Refused("the rows up to here are larger than all rows of a file may be", self.count)

    def _id(self, value: Any) -> bytes:
        if not self._id_field:
            return b"%d" % self.count
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Refused(f"the column {self._id_field!r} must hold a text or a whole number", self.count)
        return str(value).encode()


def _packed(rows: list[tuple[bytes, bytes]]) -> bytes:
    lengths = array("I", [len(rows)])
    for identifier, content in rows:
        lengths.append(len(identifier))
        lengths.append(len(content))
    if sys.byteorder == "big":
        lengths.byteswap()
    return b"".join([lengths.tobytes(), *(identifier for identifier, _ in rows), *(content for _, content in rows)])


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
