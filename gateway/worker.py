# SPDX-License-Identifier: Apache-2.0
"""gunicorn's threaded worker, made patient: an unfinished request costs a socket and no thread, and not for long.

Out of the box a connection takes a thread from the moment it is accepted, for as long as its request takes to arrive,
so that as many slow clients as there are threads silence the gateway, and a stopping worker waits for connections
that never sent anything until its grace is over; and closing a connection that the client keeps open holds up the
event loop for two seconds. Here a thread is given when the whole head has arrived. Nothing is read before: the kernel
keeps the bytes, and the worker only peeks at them. And a connection that ends is closed when the client has closed
it, or a moment later, while the loop goes on.
"""

import json
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from gateway.rest.problems import problem

HEAD_WITHIN = 10.0
"""Seconds from the first look at a connection until the head of its request must be complete."""
PAUSE_WITHIN = 10
"""Seconds that a body, or the reader of an answer, may pause."""
_HEAD_LIMIT = 64 * 1024
_LOOK_AGAIN = 0.05
_PAUSE = struct.pack("@ll", PAUSE_WITHIN, 0)
_LINGER = 1.0
_PATIENCE = 3.0
"""Seconds that a stopping worker lets requests wait for their commits before they are answered 202."""
_PROBLEM = json.dumps(
    problem(408, "request-timeout", "The head of the request did not arrive in time.", retryable=True)
).encode()
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves requests whose heads are complete; keeps the others on the event loop until they are, or too late."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beginning: deque[tuple[float, Any]] = deque()
        """Connections with a part of a head, and until when it may be completed; the oldest first."""
        self._ending: deque[tuple[float, Any]] = deque()
        """Connections that were answered for the last time, and until when the client may read it."""
        self._looked = 0.0
        self._stopping_since: float | None = None

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection that has something to say a thread, or keep it until it has."""
        if conn.parser is None:  # its first request
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, _PAUSE)
        match _arrived(conn):
            case "nothing":
                self._await_first_byte(conn)
            case "part":
                self._beginning.append((time.monotonic() + HEAD_WITHIN, conn))
            case _:
                super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """As the base class, but wait elsewhere for the client to close a connection that has ended."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is False:
            self._end(conn)
        else:
            super().finish_request(conn, fs)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As the base class, but no longer than until the next look at what has begun or is ending."""
        unfinished = self._beginning or self._ending
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_AGAIN) if unfinished else timeout)

    def murder_pending(self) -> None:
        """Called after every round of events: let go who is too late, and serve whose head is complete now."""
        now = time.monotonic()
        if not self.alive:
            self._hurry(now)
        super().murder_pending()
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._look_again(now)

    def _await_first_byte(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + HEAD_WITHIN
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _look_again(self, now: float) -> None:
        waiting, self._beginning = self._beginning, deque()
        for until, conn in waiting:
            if _arrived(conn) != "part":
                super().enqueue_req(conn)
            elif until <= now:
                self._refuse(conn)
            else:
                self._beginning.append((until, conn))
        ending, self._ending = self._ending, deque()
        for until, conn in ending:
            if until <= now or _closed(conn):
                self.nr_conns -= 1
                conn.close()
            else:
                self._ending.append((until, conn))

    def _refuse(self, conn: Any) -> None:
        with suppress(OSError):  # the client may be gone
            conn.sock.send(_TOO_SLOW, socket.MSG_DONTWAIT)
        self._end(conn)

    def _end(self, conn: Any) -> None:
        """Say that nothing more comes; closing at once could destroy an answer still on its way (RFC 9112, 9.6)."""
        with suppress(OSError):
            conn.sock.shutdown(socket.SHUT_WR)
        self._ending.append((time.monotonic() + _LINGER, conn))

    def _hurry(self, now: float) -> None:
        """A stopping worker waits a moment for requests that are on their way, and longer only for those it serves."""
        if self._stopping_since is None:
            self._stopping_since = now
        end = self._stopping_since + _LINGER
        for conn in (*self.pending_conns, *self.keepalived_conns):
            conn.timeout = min(conn.timeout, end)
        self._beginning = deque((min(until, end), conn) for until, conn in self._beginning)
        if now > self._stopping_since + _PATIENCE:
            self.app.hurry()


def _closed(conn: Any) -> bool:
    """Whether the client has closed a connection too; what it sends meanwhile is thrown away."""
    try:
        return not conn.sock.recv(_HEAD_LIMIT, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _arrived(conn: Any) -> str:
    """How much of a head the kernel holds for a connection: `nothing`, a `part`, or `all` that a thread needs.

    The end of the connection and its errors are for a thread as well: it closes what has to be closed.
    """
    if conn.parser is not None and conn.parser.unreader.buf.getvalue():
        return "all"  # a second request that came with the first one's body
    try:
        head = conn.sock.recv(_HEAD_LIMIT, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return "nothing"
    except OSError:
        return "all"
    return "all" if not head or b"\r\n\r\n" in head or len(head) == _HEAD_LIMIT else "part"
