# SPDX-License-Identifier: Apache-2.0
"""Leaf hashes by processes of their own: those that this process would compute, whatever becomes of the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from gateway.services import leafhashing, ownprocesses
from gateway.services.holdings import RecordColumns
from gateway.services.leafhashing import hashed
from gateway.services.leaves import hashes
from gateway.services.tiles import roots_of_whole

LARGE = 1 << 30
SCHEMAS = (LeafSchema.RECORD_V1, LeafSchema.RECORD_V2)


def columns(number: int, count: int = 700, *, tails_differ: bool = False) -> RecordColumns:
    tails = [merkle.record_tail(place % 5 if tails_differ else 2, number) for place in range(count)]
    return RecordColumns(
        [b"r%d-%d" % (number, place) for place in range(count)],
        [b"x" * (place % 300) for place in range(count)],
        bytes(place % 251 for place in range(number, number + 16 * count)),
        b"",
        b"".join(tails) if tails_differ else tails[0],
        bytes(place % 241 for place in range(number, number + 32 * count)),
    )


def expected(each: RecordColumns, schema: LeafSchema) -> bytes:
    """As `docs/records.md` defines them, record by record."""
    leaves = b""
    for place, (name, content) in enumerate(zip(each.ids, each.contents, strict=True)):
        salt, subject = each.salts[16 * place : 16 * place + 16], each.subjects[32 * place : 32 * place + 32]
        tail = each.tails[9 * place : 9 * place + 9] if len(each.tails) > 9 else each.tails
        if schema is LeafSchema.RECORD_V1:
            leaves += merkle.record_hashes([(salt, name, content, tail)])
        else:
            leaves += merkle.subject_record_hashes([(salt, name, content, subject, tail)])
    return leaves


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with room for two processes."""
    monkeypatch.setattr(leafhashing, "_room", lambda: 2)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("schema", SCHEMAS)
def test_processes_hash_as_this_one_does_and_in_order(schema: LeafSchema) -> None:
    given_columns = [columns(number, tails_differ=number % 2 == 0) for number in range(7)]
    for start in (0, 1_000):
        found = list(hashed(iter(given_columns), schema, LARGE, start))
        wanted = [expected(each, schema) for each in given_columns]
        roots = [roots_of_whole(start + 700 * number, leaves) for number, leaves in enumerate(wanted)]
        assert found == [
            replace(each, leaves=leaves, tile_roots=above)
            for each, leaves, above in zip(given_columns, wanted, roots, strict=True)
        ]
        assert {len(above) // merkle.HASH for above in roots} == {4, 5}
        assert found == list(hashed(iter(given_columns), schema, 0, start))
    assert list(hashed(iter(()), schema, LARGE)) == []


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=200)), min_size=1, max_size=20),
    st.sampled_from(SCHEMAS),
)
@settings(deadline=None)
def test_hashes_are_those_of_the_law(records: list[tuple[bytes, bytes]], schema: LeafSchema) -> None:
    each = replace(
        columns(3, len(records)),
        ids=[name for name, _ in records],
        contents=[content for _, content in records],
    )
    with_subjects = schema is LeafSchema.RECORD_V2
    found = hashes(with_subjects, each.ids, each.contents, each.salts, each.tails, each.subjects)
    assert found == expected(each, schema)


@pytest.mark.usefixtures("room")
def test_a_process_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leafhashing, "_PROGRAM", "gateway.services.nowhere")
    given_columns = [columns(number) for number in range(5)]
    found = list(hashed(iter(given_columns), LeafSchema.RECORD_V1, LARGE))
    assert [each.leaves for each in found] == [expected(each, LeafSchema.RECORD_V1) for each in given_columns]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, room: None) -> "list[subprocess.Popen[bytes]]":
    """Those that were started."""
    running: list[subprocess.Popen[bytes]] = []
    start = leafhashing.started

    def started(module: str) -> "subprocess.Popen[bytes]":
        running.append(start(module))
        return running[-1]

    monkeypatch.setattr(leafhashing, "started", started)
    return running


def test_processes_end_with_the_file_whether_it_is_read_or_not(processes: "list[subprocess.Popen[bytes]]") -> None:
    def refused() -> Iterator[RecordColumns]:
        yield columns(0)
        yield columns(1)
        yield columns(2)
        raise ValueError("line 3")

    with pytest.raises(ValueError, match="line 3"):
        list(hashed(refused(), LeafSchema.RECORD_V1, LARGE))
    left = hashed((columns(number) for number in range(9)), LeafSchema.RECORD_V1, LARGE)
    next(left)
    assert len(processes) == 4
    assert [each.poll() is None for each in processes] == [False, False, True, True]
    # Meanwhile another file has none.
    assert len(list(hashed(iter([columns(1)]), LeafSchema.RECORD_V1, LARGE))) == 1
    assert len(processes) == 4
    left.close()
    assert all(each.poll() is not None for each in processes)
    list(hashed(iter([columns(1)]), LeafSchema.RECORD_V1, LARGE))
    assert len(processes) == 5


@pytest.mark.parametrize(("limit", "had"), [(1 << 20, 1 << 20), (1 << 16, -1)])
def test_pipes_are_as_large_as_this_user_may_have_them(monkeypatch: pytest.MonkeyPatch, limit: int, had: int) -> None:
    popen = subprocess.Popen
    sizes: list[int] = []

    def bounded(*arguments: object, pipesize: int, **options: object) -> "subprocess.Popen[bytes]":
        if pipesize > limit:
            raise PermissionError(1, "Operation not permitted")
        sizes.append(pipesize)
        return popen(*arguments, pipesize=pipesize, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", bounded)
    with ownprocesses.started("gateway.services.leaves") as process:
        assert process.communicate(b"") == (b"", None)
    assert sizes == [had]


def test_a_machine_with_one_core_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, room in ((1, 0), (2, 2), (64, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert leafhashing._room() == room


PARENT = """
import itertools, os, sys
sys.path.insert(0, os.getcwd())
from chaincode.domain.provenance import LeafSchema
from gateway.services import leafhashing, ownprocesses
from tests.gateway.services.test_leafhashing import columns
leafhashing._room = lambda: 2
start = leafhashing.started
def started(module):
    process = start(module)
    print(process.pid, flush=True)
    return process
leafhashing.started = started
for _ in leafhashing.hashed(map(columns, itertools.count()), LeafSchema.RECORD_V1, 1 << 30):
    pass
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_processes_end_with_their_parent() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        started = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(_runs(pid) for pid in started):
        assert time.monotonic() < deadline, "a process outlives its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
