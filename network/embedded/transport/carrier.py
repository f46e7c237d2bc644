# SPDX-License-Identifier: Apache-2.0
"""Carries the bytes of a connection between its state machine and asyncio's transports."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from network.embedded.transport.connection import Connection
from network.embedded.transport.frames import Fault

__all__ = ["Carrier"]

log = logging.getLogger(__name__)

_LARGEST_BACKLOG = 4 * 1024 * 1024
"""Bytes that may wait for a socket whose other end does not read. Data waits in its streams; the rest is answers to
pings and the like, which nobody sends by the megabyte without reading unless it means harm."""

_GREETING_S = 20.0


def _nobody(_carrier: "Carrier") -> None:
    """For those who need not hear of it."""


class Carrier(asyncio.Protocol):
    """One connection. What is to be sent is gathered until the event loop's next step and written at once."""

    def __init__(
        self,
        connection: Connection,
        begun: Callable[["Carrier"], None] = _nobody,
        ended: Callable[["Carrier"], None] = _nobody,
    ) -> None:
        """`begun` hears when there is a socket, or under TLS a connection that was agreed on, `ended` of its end."""
        self.connection = connection
        self.transport: Any = None
        self.greeted: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._begun = begun
        self._ended = ended
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    # -- asyncio calls these ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._begun(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.transport.abort()
            return
        self._timer = self._loop.call_later(_GREETING_S, self._give_up)
        self.schedule()

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        if self.transport.is_closing():
            return
        try:
            connection.receive(data)
        except Fault as fault:
            log.info("a connection is closed: %s", fault)
            connection.go_away(fault.code, str(fault))
            self.flush()
            self.transport.close()
            return
        if self._timer is not None and connection.ready:
            self._timer.cancel()
            self._timer = None
            if self.greeted is not None and not self.greeted.done():
                self.greeted.set_result(None)
        if connection.out:
            self.schedule()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.greeted is not None and not self.greeted.done():
            self.greeted.set_exception(error or ConnectionResetError("the connection was closed"))
        self.connection.lost()
        self._ended(self)

    def pause_writing(self) -> None:
        self.connection.paused = True

    def resume_writing(self) -> None:
        self.connection.paused = False
        self.connection.pump()
        self.schedule()

    # -- the calls use these ---------------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Write what is to be sent in the event loop's next step."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is to be sent now."""
        self._scheduled = False
        connection = self.connection
        while connection.out and not self.transport.is_closing():
            data = b"".join(connection.out)
            connection.out.clear()
            self.transport.write(data)
            connection.flushed()
        if connection.paused and self.transport.get_write_buffer_size() > _LARGEST_BACKLOG:
            self.transport.abort()

    def close(self) -> None:
        """Write what is to be sent, then hang up."""
        self.flush()
        self.transport.close()

    def _give_up(self) -> None:
        self.transport.abort()
