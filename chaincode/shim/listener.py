# SPDX-License-Identifier: Apache-2.0
"""Listens for peers: one thread accepts, every connection has one of its own."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping

from chaincode.shim.http2 import Accept, Connection
from chaincode.shim.sockets import Plain, Secure, Wire, chosen_address, listen_on

log = logging.getLogger("chaincode.shim")

_MOST_CONNECTIONS = 64
"""Each peer holds one, with a stream on it; a connection occupies one thread."""
_BACKLOG = 64
_PAUSE = 0.01
_FAREWELL = 0.5
"""How long, in seconds, a connection that is asked to end may take for it."""


class Listener:
    """Serves gRPC methods on one address, "host:port" or "[host]:port"; port 0 lets the system choose.

    Raises:
        OSError: when the address cannot be listened on.
    """

    def __init__(
        self, address: str, paths: Mapping[str, Accept], limit: int, context: ssl.SSLContext | None = None
    ) -> None:
        self._paths = paths
        self._limit = limit
        self._context = context
        self._lock = threading.Lock()
        self._connections: dict[Connection, None] = {}
        """The first to come first."""
        self._is_closed = False
        self._socket = listen_on(address, _BACKLOG)
        self.address = chosen_address(address, self._socket)

    def start(self) -> None:
        """Accept connections from now on."""
        threading.Thread(target=self._accept, name="accept", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Accept no more, let what was said go out for at most `seconds`, and end all connections."""
        with self._lock:
            self._is_closed = True
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        deadline = time.monotonic() + seconds
        while not all(connection.is_quiet for connection in self._open()) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        for connection in self._open():
            connection.close()
        deadline = max(deadline, time.monotonic() + _FAREWELL)
        while self._open() and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError as error:
                if self._is_closed:
                    return
                log.error("a connection was not accepted: %s", error)
                time.sleep(_PAUSE)  # too many open files: they do not get fewer by asking at once
                continue
            self._serve(connected)

    def _serve(self, connected: socket.socket) -> None:
        try:
            wire = Plain(connected) if self._context is None else Secure(connected, self._context)
        except OSError:  # it was gone before it was set up
            connected.close()
            return
        connection = Connection(wire, self._paths, self._limit)
        if not self._admits(connection):
            log.error("a connection was refused: %d are open", _MOST_CONNECTIONS)
            wire.release()
            return
        threading.Thread(target=self._run, args=(connection, wire), name="reader", daemon=True).start()

    def _admits(self, connection: Connection) -> bool:
        """Whether there is room for a connection; the first that holds no stream, as peers do, is closed to make it."""
        with self._lock:
            if len(self._connections) >= _MOST_CONNECTIONS:
                idle = next((one for one in self._connections if one.is_quiet), None)
                if idle is not None:
                    del self._connections[idle]
                    idle.close()
            is_welcome = not self._is_closed and len(self._connections) < _MOST_CONNECTIONS
            if is_welcome:
                self._connections[connection] = None
        return is_welcome

    def _run(self, connection: Connection, wire: Wire) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            wire.release()
