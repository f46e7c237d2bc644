# SPDX-License-Identifier: Apache-2.0
"""What is written of a selection is read back as the very records, in little memory."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.domain import merkle
from chaincode.domain.tabular import DELIMITERS
from chaincode.domain.values import Name
from gateway.services.holdings import Reading, RecordSet, StoredRecord
from gateway.services.members import Members
from gateway.services.selected import NotWritten, SelectedRecords, header_line, line_of
from gateway.services.tables import CSV, JSON_LINES, Table

FIELDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
PARQUET = "application/vnd.apache.parquet"


@settings(max_examples=300)
@given(st.lists(FIELDS, min_size=1, max_size=4, unique=True), st.sampled_from(DELIMITERS), st.booleans())
def test_a_header_is_read_back_as_it_was(names: list[str], delimiter: str, strange: bool) -> None:
    if strange:
        names[0] = f"\ufeff{names[0]}" if len(names) % 2 else f"sep={delimiter if len(names) == 2 else ''}{names[0]}"
    if len(set(names)) < len(names):
        return
    line = header_line(Reading(CSV, None, delimiter, tuple(names)))
    content = line + delimiter.join("x" * len(names)).encode() + b"\n"
    assert Table(io.BytesIO(content), CSV, None, delimiter).reading.fields == tuple(names)


@settings(max_examples=200)
@given(st.lists(st.lists(FIELDS, min_size=2, max_size=2), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_rows_are_read_back_as_they_were(rows: list[list[str]], end: str) -> None:
    quoted = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    committed = _rows("".join(f"{row}{end}" for row in ("a,b", *quoted)).encode())
    assert _rows(header_line(Reading(CSV, None, ",", ("a", "b"))) + b"".join(map(line_of, committed))) == committed


def _rows(content: bytes) -> list[bytes]:
    return [row.content for row in Table(io.BytesIO(content), CSV).rows()]


@given(st.lists(st.sampled_from([b"{}", b'{"a":1}\r', b" {}\r\r", b"\t{}"]), min_size=1))
def test_lines_are_read_back_as_they_were(lines: list[bytes]) -> None:
    found = [row.content for row in Table(io.BytesIO(b"".join(map(line_of, lines))), JSON_LINES).rows()]
    assert found == lines


class World:
    """An owner's records, made when they are asked for, and a ledger with a version and a selection from it."""

    def __init__(self, size: int, members: Members, reading: Reading | None) -> None:
        self.size = size
        self.members = members
        self.set = RecordSet("5f" * 32, "d", size, 0.0, reading, 1)
        self.read = 0
        leaves = b"".join(self.record(position).leaf for position in members)
        self.root = merkle.root_of_hashes(leaves).hex()

    def record(self, position: int) -> StoredRecord:
        salt, content = position.to_bytes(16), b"r%d,%d" % (position, position)
        leaf = merkle.record_hashes([(salt, b"r%d" % position, content, merkle.record_tail(0, 0))])
        return StoredRecord(f"r{position}", salt, content, 0, 0, leaf)

    def get(self, kind: str, _reference: str, **_where: str) -> Any:
        roots = {"dataset-version": self.set.root, "selection": self.root}
        return {"record": {"root": roots[kind]}, "transaction": {"id": "t"}}

    def held(self, root: str) -> RecordSet | None:
        return self.set if root == self.set.root else None

    def find(self, _records: str, _root: str) -> Members:
        return self.members

    def all(self, _root: str, start: int = 0) -> Iterator[StoredRecord]:
        for position in range(start, self.size):
            self.read += 1
            yield self.record(position)

    def selected(self) -> SelectedRecords:
        return SelectedRecords(self, self, self, "main")  # type: ignore[arg-type]


def written(world: World) -> bytes:
    selected = world.selected()
    found = selected.find(Name("d"), 1, Name("s"))
    extent = selected.measure(found)
    content = b"".join(selected.pieces(found))
    assert extent.size == len(content)
    return content


TABLE = Reading(CSV, "id", ",", ("id", "x"))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 3_999), min_size=1, max_size=30), st.integers(0, 3_000))
def test_the_records_of_a_selection_are_written_whatever_they_are(some: set[int], run: int) -> None:
    positions = sorted(some | set(range(run, run + 20)))
    world = World(4_000, Members.of(positions, 4_000), TABLE)
    assert written(world) == b"id,x\n" + b"".join(b"r%d,%d\n" % (each, each) for each in positions)


def test_few_of_many_records_are_found_without_reading_all() -> None:
    world = World(1_000_000, Members.of([0, 1, 500_000, 999_999], 1_000_000), TABLE)
    assert written(world).count(b"\n") == 5
    assert world.read < 20


def test_many_records_take_little_memory() -> None:
    size = 60_000
    world = World(size, Members.of(range(0, size, 2), size), TABLE)
    selected = world.selected()
    found = selected.find(Name("d"), 1, Name("s"))
    tracemalloc.start()
    try:
        selected.measure(found)
        total = sum(map(len, selected.pieces(found)))
        head = sum(map(len, selected.bundle(Name("d"), 1, Name("s"))))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > 300_000
    assert head > 57 * size // 2
    assert most < 12 << 20, "the records are held at once"


@pytest.mark.parametrize("reading", [None, Reading(PARQUET, "id", None, ("id", "x")), Reading(CSV, "id", ",")])
def test_what_is_not_kept_as_lines_needs_a_file(reading: Reading | None) -> None:
    world = World(10, Members.of([1], 10), reading)
    with pytest.raises(NotWritten, match="send a file that has them"):
        written(world)
