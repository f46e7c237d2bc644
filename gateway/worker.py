# SPDX-License-Identifier: Apache-2.0
"""gunicorn's threaded worker, made patient: an unfinished request costs a socket and no thread, and not for long.

Out of the box a connection takes a thread from the moment it is accepted, for as long as its request takes to arrive,
so that as many slow clients as there are threads silence the gateway, and a stopping worker waits for connections
that never sent anything until its grace is over; and closing a connection that the client keeps open holds up the
event loop for two seconds. Here a thread is given when the whole head has arrived. Nothing is read before: the kernel
keeps the bytes, and the worker only peeks at them. And a connection that ends is closed when the client has closed
it, or a moment later, while the loop goes on.

It is also made lean, because all that a gateway does shares one interpreter lock: the thread that has answered a
request puts the connection back to the poller itself instead of waking the event loop for it, an answer is one write,
and gunicorn's settings are looked up once. And questions are answered one after another by one thread: they compute
and seldom wait, and fifty threads that want the same lock answer fewer of them than one. A question that does wait,
for a height or for a client that reads slowly, is left to its thread, and the next thread takes over the others.
"""

import json
import math
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from gateway.rest.problems import problem

HEAD_WITHIN = 10.0
"""Seconds from the first look at a connection until the head of its request must be complete."""
PAUSE_WITHIN = 10
"""Seconds that a body, or the reader of an answer, may pause."""
_HEAD_LIMIT = 64 * 1024
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_AT_ONCE = int(socket.MSG_DONTWAIT)
_LOOK_AGAIN = 0.05
_PAUSE = struct.pack("@ll", PAUSE_WITHIN, 0)
_PATIENT_WITH_ONE = 0.01
"""Seconds that one question may keep the others waiting before another thread takes over."""
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
        self._questions: deque[Any] = deque()
        """Connections with a question that no thread has taken."""
        self._answering: object | None = None
        """Stands for the thread that takes the next question; None when none would. Guarded by `_turn`."""
        self._taken_at = 0.0
        """When it took its last one; infinite before its first."""
        self._turn = threading.Lock()
        self._stopping_since: float | None = None
        # Each of gunicorn's settings is found by a search; as attributes they are just there.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})

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
            case "question":
                self._ask(conn)
            case _:
                self._give_thread(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer one request; whether the connection may be used for another one."""
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, response_class=_OneWrite)
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            response.force_close()
        try:
            parts = self.wsgi(environ, response.start_response)
            try:
                for part in parts:
                    response.write(part)
                response.close()
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        except OSError:
            raise
        except Exception:
            if not response.begun:
                raise
            self.log.exception("an answer broke off")  # a second one behind its beginning would be read as its rest
            return False
        return not response.should_close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As the base class, but no longer than until the next look at what has begun or is ending."""
        if self._questions:
            timeout = min(timeout, _PATIENT_WITH_ONE)
        elif self._beginning or self._ending:
            timeout = min(timeout, _LOOK_AGAIN)
        super().wait_for_and_dispatch_events(timeout)

    def murder_pending(self) -> None:
        """Called after every round of events: let go who is too late, and serve whose head is complete now."""
        now = time.monotonic()
        if not self.alive:
            self._hurry(now)
        super().murder_pending()
        if self._questions and now - self._taken_at >= _PATIENT_WITH_ONE:
            self._take_over()
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._look_again(now)

    def _give_thread(self, conn: Any) -> None:
        conn.data_ready = True
        self.tpool.submit(self._serve, conn)

    def _ask(self, conn: Any) -> None:
        """Have a question answered after those that came before it."""
        conn.data_ready = True
        with self._turn:
            self._questions.append(conn)
            if self._answering is not None:
                return
        self._take_over()

    def _take_over(self) -> None:
        """Let another thread take the next question; the one that had its turn leaves after the one it is at."""
        turn = object()
        with self._turn:
            self._answering = turn
            self._taken_at = math.inf  # until a thread is free: asking for more of them would not help
        self.tpool.submit(self._answer, turn)

    def _answer(self, turn: object) -> None:
        """Runs in a thread of the pool: answer questions for as long as it is this thread's turn and there are any."""
        while True:
            with self._turn:
                if self._answering is not turn:
                    return
                if not self._questions:
                    self._answering = None
                    return
                conn = self._questions.popleft()
                self._taken_at = time.monotonic()
            self._serve(conn)

    def _serve(self, conn: Any) -> None:
        """Runs in a thread of the pool."""
        kept = False
        try:
            kept = self.handle(conn)
        finally:
            if kept and self.alive and not conn.parser.unreader.buf.getvalue():
                self._keep(conn)
            else:
                self.method_queue.defer(self._served, conn, kept)

    def _keep(self, conn: Any) -> None:
        """Wait for a connection's next request; in the list first, because the event loop takes it from there."""
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        try:
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))
        except (OSError, KeyError, ValueError, RuntimeError):
            conn.close()  # the worker has stopped meanwhile, and its poller with it

    def _served(self, conn: Any, kept: bool) -> None:
        """Runs on the event loop: what a thread could not settle itself."""
        if not kept:
            self._end(conn)
        elif conn.parser.unreader.buf.getvalue():
            self.enqueue_req(conn)
        else:
            self._keep(conn)
            conn.timeout = min(conn.timeout, time.monotonic() + _LINGER)

    def _cap_keepalive(self, deadline: float) -> None:
        """As the base class; threads may be adding connections at the same time."""
        for conn in tuple(self.keepalived_conns):
            conn.timeout = min(conn.timeout, deadline)

    def _await_first_byte(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + HEAD_WITHIN
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _look_again(self, now: float) -> None:
        waiting, self._beginning = self._beginning, deque()
        for until, conn in waiting:
            if _arrived(conn) != "part":
                self._give_thread(conn)
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
            conn.sock.send(_TOO_SLOW, _AT_ONCE)
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


class _OneWrite(wsgi.Response):  # type: ignore[misc]  # gunicorn ships no types
    """A response whose head travels with the first bytes of its body."""

    headers_sent: bool
    begun = False
    """Whether the client may have received a part of it."""
    _head = b""

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self._head = "".join(lines).encode("latin-1")
            self.headers_sent = True

    def close(self) -> None:
        self.send_headers()
        if self._head or self.chunked:
            self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _emit_body(self, data: bytes) -> None:
        self._send(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self.begun = True
        self.sock.sendall(head + data)


def _closed(conn: Any) -> bool:
    """Whether the client has closed a connection too; what it sends meanwhile is thrown away."""
    try:
        return not conn.sock.recv(_HEAD_LIMIT, _AT_ONCE)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _arrived(conn: Any) -> str:
    """How much of a head the kernel holds for a connection: `nothing`, a `part`, or `all` that a thread needs.

    A whole head that asks for something and sends nothing is a `question`. The end of the connection and its errors
    are for a thread as well: it closes what has to be closed.
    """
    if conn.parser is not None and conn.parser.unreader.buf.getvalue():
        return "all"  # a second request that came with the first one's body
    try:
        head = conn.sock.recv(_HEAD_LIMIT, _PEEK)
    except BlockingIOError:
        return "nothing"
    except OSError:
        return "all"
    if head.endswith(b"\r\n\r\n") and head.startswith(b"GET "):
        return "question"
    return "all" if not head or b"\r\n\r\n" in head or len(head) == _HEAD_LIMIT else "part"
