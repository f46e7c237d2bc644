# SPDX-License-Identifier: Apache-2.0
"""Leaf hashes of the records of a file: of a large one in processes of their own, where the machine has room for them.

These processes are `leaves`. One that fails is done without: what it was asked is hashed here.
"""

import marshal
import os
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from chaincode.domain.merkle import HASH
from chaincode.domain.provenance import LeafSchema
from gateway.services.holdings import RecordColumns
from gateway.services.leaves import hashes_and_roots
from gateway.services.ownprocesses import started
from gateway.services.tiles import count_whole

_PROGRAM: Final = f"{__package__}.leaves"
_WORTH: Final = 2 << 20
"""Bytes of a file from which on processes are started."""
_MOST: Final = 2
"""Processes; the one that reads and writes has no more to give."""
_HELPED = threading.Lock()
"""Held while one file has processes; others that are read at the same time have none."""


Asked = tuple[int, bool, list[bytes], list[bytes], bytes, bytes, bytes]


def hashed(
    records: Iterator[RecordColumns], schema: LeafSchema, size: int, start: int = 0
) -> Generator[RecordColumns, None, None]:
    """The same records with their leaf hashes and the roots of the tiles that these fill, in their order.

    Args:
        size: bytes of the file that they are from.
        start: the position of the first of them.
    """
    helpers = _room() if size >= _WORTH else 0
    if helpers and _HELPED.acquire(blocking=False):
        try:
            yield from _side_by_side(_asked(records, schema, start), helpers)
        finally:
            _HELPED.release()
    else:
        for each, asked in _asked(records, schema, start):
            yield _with(each, hashes_and_roots(*asked))


def _room() -> int:
    """How many processes the machine has room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST, cores) if cores > 1 else 0


def _side_by_side(records: Iterator[tuple[RecordColumns, Asked]], count: int) -> Iterator[RecordColumns]:
    """The records of `hashed`, by so many processes: while they hash some, the caller reads and writes others."""
    helpers: list[_Helper] = []
    busy = deque[tuple[_Helper, RecordColumns]]()
    try:
        for each, asked in records:
            done: list[RecordColumns] = []
            if len(helpers) < count:
                helper = _Helper()
                helpers.append(helper)
            else:
                helper, before = busy.popleft()
                done.append(_with(before, helper.answer()))
            helper.ask(asked)
            busy.append((helper, each))
            yield from done
        for helper, before in busy:
            yield _with(before, helper.answer())
    finally:
        for helper in helpers:
            helper.close()


def _asked(records: Iterator[RecordColumns], schema: LeafSchema, start: int) -> Iterator[tuple[RecordColumns, Asked]]:
    """Each of the records, and what is asked about them."""
    with_subjects = schema is not LeafSchema.RECORD_V1
    for each in records:
        yield each, (start, with_subjects, list(each.ids), list(each.contents), each.salts, each.tails, each.subjects)
        start += len(each.ids)


def _with(each: RecordColumns, found: tuple[bytes, bytes]) -> RecordColumns:
    leaves, roots = found
    return replace(each, leaves=leaves, tile_roots=roots)


class _Helper:
    """One process, asked once at a time: so neither waits for the other to read."""

    def __init__(self) -> None:
        self._process = started(_PROGRAM)
        self._asked: Asked | None = None

    def ask(self, asked: Asked) -> None:
        self._asked = asked
        payload = marshal.dumps(asked)
        source = self._process.stdin
        if source is not None:
            with suppress(OSError):  # it ended; that is found when its answer is missing
                source.write(len(payload).to_bytes(4) + payload)
                source.flush()

    def answer(self) -> tuple[bytes, bytes]:
        asked, self._asked = self._asked, None
        if asked is None:
            raise RuntimeError("nothing was asked")
        start, _, ids, *_ = asked
        out, leaves = self._process.stdout, HASH * len(ids)
        wanted = leaves + HASH * count_whole(start, len(ids))
        found = b"" if out is None else out.read(wanted)
        return (found[:leaves], found[leaves:]) if len(found) == wanted else hashes_and_roots(*asked)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not read of what was asked
                    pipe.close()
