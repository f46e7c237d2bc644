# SPDX-License-Identifier: Apache-2.0
"""A peer whose disk is full stops and says so, and catches up when there is room again."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from containerharness import engine
from containerharness.consortium import Consortium

pytestmark = pytest.mark.fabric

_MEGABYTE = bytes(1024 * 1024)


def fill(path: Path) -> None:
    """Write until nothing more fits, not a byte."""
    with path.open("wb", buffering=0) as file:
        for size in (len(_MEGABYTE), 4096, 1):
            try:
                while file.write(_MEGABYTE[:size]) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def test_a_peer_with_a_full_disk_loses_nothing(consortium: Consortium, observe: Callable[..., None]) -> None:
    if consortium.small is None:
        pytest.skip("NOT RUN: a small file system for a peer's ledger can only be mounted by root")
    node = consortium.node("peer0.lab.example")
    filler = consortium.small / "filler"

    def harm() -> None:
        before = node.starts
        fill(filler)
        try:
            give_up = time.monotonic() + 20
            while node.starts == before:
                with contextlib.suppress(OSError):
                    fill(filler.with_name("filler-of-what-was-freed"))
                assert time.monotonic() < give_up, "the peer goes on with a full disk"
                time.sleep(0.2)
        finally:
            filler.unlink()
            filler.with_name("filler-of-what-was-freed").unlink(missing_ok=True)
        node.restart()  # as an operator does who has made room: the engine's own pauses grow

    observe("a peer's disk full, then room again", harm)
    assert "no space left on device" in engine.docker("logs", node.id).stderr
