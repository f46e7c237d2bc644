# SPDX-License-Identifier: Apache-2.0
"""Where a listener stopped, so that it can go on there: a block, and the last transaction seen in it (rule D-12)."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Protocol

from gateway.fabric.durable import write_file
from gateway.fabric.errors import CheckpointError

__all__ = ["Checkpoint", "EventPosition", "FileCheckpointer", "InMemoryCheckpointer"]


class Checkpoint(Protocol):
    """A position to resume from."""

    @property
    def block_number(self) -> int | None:
        """The block to start with; None when nothing was recorded yet."""
        ...

    @property
    def transaction_id(self) -> str | None:
        """The last transaction seen in that block; None when the whole block is still to come."""
        ...


class EventPosition(Protocol):
    """What a chaincode event says about its place."""

    @property
    def block_number(self) -> int: ...

    @property
    def transaction_id(self) -> str: ...


class InMemoryCheckpointer:
    """A checkpoint for the life of the process; thread-safe."""

    def __init__(self, block_number: int | None = None, transaction_id: str | None = None) -> None:
        self._lock = threading.Lock()
        self._position = (block_number, transaction_id)

    @property
    def block_number(self) -> int | None:
        """The block to start with; None when nothing was recorded yet."""
        return self._position[0]

    @property
    def transaction_id(self) -> str | None:
        """The last transaction seen in that block; None when the whole block is still to come."""
        return self._position[1]

    def checkpoint_block(self, block_number: int) -> None:
        """Records that everything up to and including this block has been dealt with."""
        self._record(block_number + 1, None)

    def checkpoint_transaction(self, block_number: int, transaction_id: str) -> None:
        """Records that this block has been dealt with up to and including this transaction."""
        self._record(block_number, transaction_id)

    def checkpoint_chaincode_event(self, event: EventPosition) -> None:
        """Records that everything up to and including this event has been dealt with."""
        self._record(event.block_number, event.transaction_id)

    def _record(self, block_number: int, transaction_id: str | None) -> None:
        if block_number < 0:
            raise ValueError(f"a block number is not negative: {block_number}")
        with self._lock:
            self._save(block_number, transaction_id)
            self._position = (block_number, transaction_id)

    def _save(self, block_number: int, transaction_id: str | None) -> None:
        """Keeps the position before it counts as recorded; memory needs nothing."""


class FileCheckpointer(InMemoryCheckpointer):
    """A checkpoint in a file that survives crashes: after a recording returns, the position is on the disk.

    The file is replaced, never overwritten, so a crash leaves the old position or the new one. An absent file means
    that nothing was recorded; a file that cannot be read or understood raises `CheckpointError`, for going on from
    the wrong place would be worse than stopping. One process at a time may use a file.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        super().__init__(*_load(self._path))

    def _save(self, block_number: int, transaction_id: str | None) -> None:
        text = json.dumps({"blockNumber": block_number, "transactionId": transaction_id})
        try:
            write_file(self._path, text.encode(), mode=0o600)
        except OSError as exc:
            raise CheckpointError(f"{self._path}: the checkpoint cannot be written: {exc}") from exc


def _load(path: Path) -> tuple[int | None, str | None]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None, None
    except OSError as exc:
        raise CheckpointError(f"{path}: the checkpoint cannot be read: {exc}") from exc
    try:
        record: Any = json.loads(text)
    except ValueError as exc:
        raise CheckpointError(f"{path}: the checkpoint is not JSON") from exc
    block_number = record.get("blockNumber") if isinstance(record, dict) else None
    transaction_id = record.get("transactionId") if isinstance(record, dict) else None
    whole = isinstance(block_number, int) and not isinstance(block_number, bool) and block_number >= 0
    if not whole or not (transaction_id is None or isinstance(transaction_id, str)):
        raise CheckpointError(f"{path}: the checkpoint lacks a block number or has a malformed transaction id")
    return block_number, transaction_id
