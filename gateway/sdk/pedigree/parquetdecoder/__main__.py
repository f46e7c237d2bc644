# SPDX-License-Identifier: Apache-2.0
"""The decoder: standard input is a Parquet file, standard output its rows.

It is started with nothing but its file: no environment, no other descriptor, and limits on memory and processor time
which the kernel keeps. What the reader in C++ makes of malformed bytes can end this process and nothing else. What a
row's bytes are, `docs/records.md` defines.

What is written is frames: one byte that names the kind, four bytes of length (big-endian),
and as many bytes:

- ``C``: ``{"fields": ["age", "id"], "rows": 2}``: the columns' names in code point order, and how many rows come;
- ``R``: rows: their number, the length of each id, the length of each content (all in four bytes, little-endian), then
  all ids and all contents in UTF-8;
- ``E``: what cannot be read: ``{"row": 7, "reason": "…"}``, with row 0 for the file as a whole;
- ``Z``: nothing follows; without it the rows are not whole.

Arguments: the column of ids (empty for numbered rows), and bytes of content and rows that the file may come to.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pedigree.parquetdecoder.rows import BATCH, DENSEST, Rows
from pedigree.parquetdecoder.values import LONGEST_RECORD, Column, Refused

LONGEST_FOOTER: Final = 16 << 20
MOST_COLUMNS: Final = 16_384
_MEMORY: Final = 512 << 20
"""Bytes of address space beside what the libraries take."""
_SECONDS: Final = 600
"""Seconds of processor time: a file of the greatest size takes about 120."""
_MOST_ROWS: Final = 2_048
_PAGES: Final = 1 << 16
_MAGIC: Final = b"PAR1"


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
        rows = Rows(columns, id_field, most_bytes)
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
    """Rows of a group that have about `BATCH` bytes; a group may state less than it holds."""
    stated = group.total_byte_size // max(1, group.num_rows)
    if stated > DENSEST * LONGEST_RECORD:
        limit = LONGEST_RECORD >> 20
        raise Refused(f"its rows have {stated >> 20} MiB each, as it states; a record has at most {limit} MiB")
    each = max(1, stated, 16 * group.num_columns)
    return max(1, min(_MOST_ROWS, BATCH // int(each)))


def _columns(schema: Any) -> list[Column]:
    if not schema.names:
        raise Refused("it has no column")
    if len(set(schema.names)) != len(schema.names):
        raise Refused("a column name is there twice")
    return [Column(field) for field in schema]


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
