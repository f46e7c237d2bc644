# SPDX-License-Identifier: Apache-2.0
"""A temporary file and the room that it takes up, which is given back when nobody has the file open any more."""

import io
import os
import threading
from contextlib import suppress

from gateway.services.shares import Shares


class Room:
    """What a file takes up of a client's share; thread-safe."""

    def __init__(self, shares: Shares, client: str) -> None:
        self.size = 0
        self._shares = shares
        self._client = client
        self._open = 0
        self._lock = threading.Lock()

    def grow(self, amount: int) -> None:
        """Take more; raises as `Shares.take` does."""
        self._shares.take(self._client, amount)
        self.size += amount

    def enter(self) -> None:
        """Count one more who has the file open."""
        with self._lock:
            self._open += 1

    def leave(self) -> None:
        """Count one less; the last gives everything back."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._shares.give_back(self._client, self.size)


class SpooledFile(io.BufferedRandom):
    """A file without a name, open in one place or several; the kernel removes it when the last one closes it."""

    def __init__(self, raw: io.FileIO, room: Room) -> None:
        super().__init__(raw)
        self._room: Room | None = room
        room.enter()

    @property
    def size(self) -> int:
        """Bytes that were appended."""
        return 0 if self._room is None else self._room.size

    def append(self, piece: bytes) -> None:
        """Write the next piece; raises as `Shares.take` does, and `OSError`."""
        self._open_room().grow(len(piece))
        self.write(piece)

    def another(self) -> "SpooledFile":
        """The same file, at its beginning, for somebody else, who closes it; from then on only one of them reads.

        They have one position. The room is given back when both are closed.
        """
        room = self._open_room()
        self.seek(0)
        return SpooledFile(io.FileIO(os.dup(self.fileno()), "r+b"), room)

    def close(self) -> None:
        """Close this one; what could not be written is not wanted any more."""
        with suppress(OSError):
            super().close()
        room, self._room = self._room, None
        if room is not None:
            room.leave()

    def _open_room(self) -> Room:
        if self._room is None:
            raise ValueError("the file is closed")
        return self._room
