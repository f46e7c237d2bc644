# SPDX-License-Identifier: Apache-2.0
"""A connection that a test can hold or cut where it likes: a proxy that lets so many bytes of answers through."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_PIECE = 16 * 1024


class Tap:
    """Passes everything on to a port of this machine, and of what comes back as many bytes as it was opened for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Condition()
        self._left: float = float("inf")
        self._cutting = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.passed = 0
        """Bytes of answers that were let through, of all connections together."""
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def hold_after(self, count: int) -> None:
        """Let so many bytes more through, and then none."""
        with self._lock:
            self._left = count
            self._lock.notify_all()

    def release(self) -> None:
        """Let everything through."""
        with self._lock:
            self._left = float("inf")
            self._cutting = 0
            self._lock.notify_all()

    def cut_every(self, count: int) -> None:
        """Cut each connection after so many bytes of answers."""
        with self._lock:
            self._cutting = count

    def wait_until_held(self, within: float = 60.0) -> None:
        """Return once something waits to be let through."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._left <= 0, within), "nothing was held in time"

    def cut(self) -> None:
        """End every connection that is open."""
        with self._lock:
            for one in tuple(self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._lock.notify_all()

    def close(self) -> None:
        self._closed = True
        self.release()
        self.cut()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket()
                # Little is on its way between the two, so that what is held here is held there.
                far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
                try:
                    far.connect(("127.0.0.1", self._port))
                except OSError:
                    near.close()
                    far.close()
                    continue
                with self._lock:
                    self._open |= {near, far}
                self._start(self._forward, near, far)
                self._start(self._answer, far, near)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := near.recv(_PIECE):
                far.sendall(piece)
        self._end(near, far)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := far.recv(_PIECE):
                at = 0
                while at < len(piece):
                    taken = self._take(len(piece) - at, far)
                    near.sendall(piece[at : at + taken])
                    at += taken
                    passed += taken
                    if self._cutting and passed >= self._cutting:
                        self._end(near, far)
        self._end(near, far)

    def _take(self, wanted: int, far: socket.socket) -> int:
        with self._lock:
            while self._left <= 0:
                self._lock.notify_all()
                self._lock.wait(0.2)
                if far.fileno() < 0:
                    raise OSError
            taken = int(min(wanted, self._left))
            self._left -= taken
            self.passed += taken
            self._lock.notify_all()
            return taken

    def _end(self, *both: socket.socket) -> None:
        with self._lock:
            self._open -= set(both)
        for one in both:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap before a port."""
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()
