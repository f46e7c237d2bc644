# SPDX-License-Identifier: Apache-2.0
"""One stream of a connection: its windows, what waits to be sent on it, and who hears what arrives."""

from typing import Any, Protocol

from network.embedded.transport.hpack import Headers

__all__ = ["Receiver", "Stream"]


class Receiver(Protocol):
    """What happens on one stream."""

    def headers(self, headers: Headers, end: bool) -> None:
        """Headers or trailers came; with `end` nothing follows."""

    def data(self, data: bytes, end: bool) -> None:
        """Data came; the receiver says with `Connection.credit` that it took it."""

    def reset(self, code: int) -> None:
        """The other side, or the end of the connection, ended the stream."""

    def drained(self) -> None:
        """All data that waited was sent."""


class Stream:
    """One stream's windows, and what waits to be sent on it."""

    __slots__ = ("closed", "ended", "finished", "id", "received", "receiver", "send_window", "taken", "waiting")

    def __init__(self, stream_id: int, send_window: int) -> None:
        self.id = stream_id
        self.receiver: Any = None
        self.send_window = send_window
        self.received = 0
        """Bytes received since the window was last opened, `taken` of which were used up."""
        self.taken = 0
        self.waiting: list[tuple[int, bytes | memoryview]] = []
        """Frames (kind, payload) that wait for the window; a header block, or empty data, ends the stream."""
        self.ended = False
        """The other side sends no more."""
        self.finished = False
        """This side sends no more, apart from what waits."""
        self.closed = False
