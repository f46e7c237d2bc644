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
from gateway.services.leaves import hashes
from gateway.services.ownprocesses import started

_PROGRAM: Final = f"{__package__}.leaves"
_WORTH: Final = 2 << 20
"""Bytes of a file from which on processes are started."""
_MOST: Final = 2
"""Processes; the one that reads and writes has no more to give."""
_HELPED = threading.Lock()
"""Held while one file has processes; others that are read at the same time have none."""


Asked = tuple[bool, list[bytes], list[bytes], bytes, bytes, bytes]


def hashed(records: Iterator[RecordColumns], schema: LeafSchema, size: int) -> Generator[RecordColumns, None, None]:
    """The same records with their leaf hashes, in their order.

    Args:
        size: bytes of the file that they are from.
    """
    helpers = _room() if size >= _WORTH else 0
    if helpers and _HELPED.acquire(blocking=False):
        try:
            yield from _side_by_side(records, schema, helpers)
        finally:
            _HELPED.release()
    else:
        for each in records:
            yield replace(each, leaves=hashes(*_asked(each, schema)))


def _room() -> int:
    """How many processes the machine has room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST, cores) if cores > 1 else 0


def _side_by_side(records: Iterator[RecordColumns], schema: LeafSchema, count: int) -> Iterator[RecordColumns]:
    """The records of `hashed`, by so many processes: while they hash some, the caller reads and writes others."""
    helpers: list[_Helper] = []
    busy = deque[tuple[_Helper, RecordColumns]]()
    try:
        for each in records:
            done: list[RecordColumns] = []
            if len(helpers) < count:
                helper = _Helper()
                helpers.append(helper)
            else:
                helper, before = busy.popleft()
                done.append(replace(before, leaves=helper.answer()))
            helper.ask(_asked(each, schema))
            busy.append((helper, each))
            yield from done
        for helper, before in busy:
            yield replace(before, leaves=helper.answer())
    finally:
        for helper in helpers:
            helper.close()


def _asked(each: RecordColumns, schema: LeafSchema) -> Asked:
    with_subjects = schema is not LeafSchema.RECORD_V1
    return with_subjects, list(each.ids), list(each.contents), each.salts, each.tails, each.subjects


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

    def answer(self) -> bytes:
        asked, self._asked = self._asked, None
        if asked is None:
            raise RuntimeError("nothing was asked")
        out, wanted = self._process.stdout, HASH * len(asked[1])
        found = b"" if out is None else out.read(wanted)
        return found if len(found) == wanted else hashes(*asked)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not read of what was asked
                    pipe.close()
