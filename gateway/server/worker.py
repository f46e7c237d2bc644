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

import errno
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

from gateway.server.answering import AnsweringWorker
from gateway.server.connections import Connection, Crowd, arrived, closed, holds, met, wake_at_once, wake_when_whole
from gateway.server.options import PER_ADDRESS
from gateway.server.tls import PAUSE_WITHIN, SecureSocket
from gateway.server.wire import (
    HEAD_TOO_LARGE,
    HEAD_WITHIN,
    NO_TLS,
    TLS_NEEDED,
    TOO_MANY_CONNECTIONS,
    TOO_SLOW,
    send_at_once,
)

_LOOK_AGAIN = 0.05
_PAUSE = struct.pack("@ll", PAUSE_WITHIN, 0)
_PATIENT_WITH_ONE = 0.01
"""Seconds that one question may keep the others waiting before another thread takes over."""
_THREADS_THAT_WAIT = 4
"""The part of the threads that may be at work before no further one waits for a short body: a fourth."""
_GONE_SILENT = 0.25
"""Seconds after which a connection that has nothing to say makes room for another."""
_WARN_AGAIN = 60.0
_LINGER = 1.0
_PATIENCE = 3.0
"""Seconds that a stopping worker lets requests wait for their commits before they are answered 202."""
_NOBODY_THERE = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class PatientWorker(AnsweringWorker):
    """Serves requests whose heads are complete; keeps the others on the event loop until they are, or too late."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beginning: deque[tuple[float, Any]] = deque()
        """Connections with a part of a head, and until when it may be completed; the oldest first."""
        self._sending: dict[Any, float] = {}
        """Connections whose short body has not come, and until when it may; the oldest first."""
        self._woken: set[Any] = set()
        """Those of them that the poller named too early; they are looked at again instead."""
        self._ending: deque[tuple[float, Any]] = deque()
        """Connections that were answered for the last time, and until when the client may read it."""
        self._greeting: dict[Any, float] = {}
        """Connections whose handshake is not over, and until when it may last; the oldest first."""
        self.crowd = Crowd(PER_ADDRESS)
        self._looked = 0.0
        self._warned = -math.inf
        self._questions: deque[Any] = deque()
        """Connections with a question that no thread has taken."""
        self._answering: object | None = None
        """Stands for the thread that takes the next question; None when none would. Guarded by `_turn`."""
        self._taken_at = 0.0
        """When it took its last one; infinite before its first."""
        self._turn = threading.Lock()
        self._at_work = 0
        """Threads that were given to requests other than questions. Guarded by `_turn`."""
        self._stopping_since: float | None = None
        # Each of gunicorn's settings is found by a search; as attributes they are just there.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})

    def accept(self, listener: Any) -> None:
        """Take a connection; where its address has too many, one of them that sends nothing makes room for it."""
        try:
            sock, client = listener.accept()
        except OSError as exc:
            if exc.errno in _NO_DESCRIPTOR:
                self._out_of_descriptors(exc)
            elif exc.errno not in _NOBODY_THERE:
                raise
            return
        self.nr_conns += 1
        secured = sock if self.door is None else SecureSocket(sock, self.door.context)
        conn = Connection(self.cfg, secured, client, listener.getsockname(), crowd=self.crowd)
        if self._exceeds(conn) and not self._make_room(conn.address):
            send_at_once(conn.sock, TOO_MANY_CONNECTIONS)
            self._let_go(conn)
        else:
            self.enqueue_req(conn)

    def _exceeds(self, conn: Connection) -> bool:
        """Whether a connection is one too many of its address; a proxy that is named has those of all its clients."""
        return self.crowd.exceeds(conn.address) and not self.proxies.has(conn.client[0])

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection that has something to say a thread, or keep it until it has."""
        if conn.parser is None:  # its first request
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, _PAUSE)
        self._dispatch(conn, met(conn))

    def _dispatch(self, conn: Any, state: str) -> None:
        match state:
            case "nothing":
                self._await_first_byte(conn)
            case "part":
                self._beginning.append((time.monotonic() + HEAD_WITHIN, conn))
            case "question":
                self._ask(conn)
            case "too much":
                self._refuse(conn, HEAD_TOO_LARGE)
            case "begun" if self._at_work >= self.cfg.threads // _THREADS_THAT_WAIT:
                self._await_body(conn)
            case "greeting":
                self._await_greeting(conn)
            case "astray" | "stranger":
                self._turn_away(conn, astray=state == "astray")
            case _:
                self._give_thread(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As the base class, but no longer than until the next look at what has begun or is ending."""
        if self._questions:
            timeout = min(timeout, _PATIENT_WITH_ONE)
        elif (
            self._beginning
            or self._sending
            or self._greeting
            or self._ending
            or self.nr_conns >= self.worker_connections
        ):
            timeout = min(timeout, _LOOK_AGAIN)
        super().wait_for_and_dispatch_events(timeout)

    def murder_pending(self) -> None:
        """Called after every round of events: let go who is too late, and serve whose head is complete now."""
        now = time.monotonic()
        if not self.alive:
            self._hurry(now)
        super().murder_pending()
        if self.nr_conns >= self.worker_connections:
            self._make_room(None)
        if self._questions and now - self._taken_at >= _PATIENT_WITH_ONE:
            self._take_over()
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._look_again(now)

    def _give_thread(self, conn: Any) -> None:
        conn.data_ready = True
        with self._turn:
            self._at_work += 1
        self.tpool.submit(self._work, conn)

    def _work(self, conn: Any) -> None:
        """Runs in a thread of the pool."""
        try:
            self._serve(conn)
        finally:
            with self._turn:
                self._at_work -= 1

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
            if kept and self.alive and not holds(conn):
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
        elif holds(conn):
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
        if conn.silent_until is None:  # else only TLS said something
            conn.silent_until = time.monotonic() + HEAD_WITHIN
        conn.timeout = conn.silent_until
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _await_greeting(self, conn: Any) -> None:
        """Go on with a handshake when more of it comes; the whole of it may take as long as a head."""
        conn.sock.setblocking(False)
        self._greeting.setdefault(conn, time.monotonic() + HEAD_WITHIN)
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_greeting, conn))

    def _on_greeting(self, conn: Any, _sock: Any) -> None:
        state = met(conn)
        if state != "greeting":
            self._stop_greeting(conn)
            self._dispatch(conn, state)

    def _turn_away(self, conn: Any, *, astray: bool) -> None:
        """End a connection that is not secured as this door is; one that is not secured at all learns why."""
        if not isinstance(conn.sock, SecureSocket):
            send_at_once(conn.sock, NO_TLS)
        elif astray:
            conn.sock.send_in_clear(TLS_NEEDED)
        self._end(conn)

    def _stop_greeting(self, conn: Any) -> None:
        del self._greeting[conn]
        self.poller.unregister(conn.sock)

    def _await_body(self, conn: Any) -> None:
        """Keep a thread from waiting for a short body while many of them have work."""
        conn.sock.setblocking(False)
        try:
            wake_when_whole(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_body, conn))
        except OSError:
            self._give_thread(conn)  # it finds the end of the connection
        else:
            self._sending[conn] = time.monotonic() + HEAD_WITHIN

    def _on_body(self, conn: Any, _sock: Any) -> None:
        if arrived(conn) == "begun":
            if isinstance(conn.sock, SecureSocket):
                return  # what came is taken from the kernel already, and there is more to come
            # The kernel does so where it is short of memory; the poller would name it again and again.
            self.poller.unregister(conn.sock)
            self._woken.add(conn)
            return
        self._stop_awaiting(conn)
        self._give_thread(conn)

    def _stop_awaiting(self, conn: Any) -> None:
        del self._sending[conn]
        if conn in self._woken:
            self._woken.remove(conn)
        else:
            self.poller.unregister(conn.sock)
        with suppress(OSError):
            wake_at_once(conn)

    def _look_again(self, now: float) -> None:
        for conn in [conn for conn, until in self._greeting.items() if until <= now]:
            self._stop_greeting(conn)
            self._end(conn)
        for conn in [conn for conn, until in self._sending.items() if until <= now]:
            self._stop_awaiting(conn)
            self._refuse(conn, TOO_SLOW)
        for conn in [conn for conn in self._woken if arrived(conn) != "begun"]:
            self._stop_awaiting(conn)
            self._give_thread(conn)
        waiting, self._beginning = self._beginning, deque()
        for until, conn in waiting:
            match arrived(conn):
                case "part" if now < until:
                    self._beginning.append((until, conn))
                case "part":
                    self._refuse(conn, TOO_SLOW)
                case _:
                    self.enqueue_req(conn)
        ending, self._ending = self._ending, deque()
        for until, conn in ending:
            if until <= now or closed(conn):
                self._let_go(conn)
            else:
                self._ending.append((until, conn))

    def _refuse(self, conn: Any, answer: bytes) -> None:
        send_at_once(conn.sock, answer)
        self._end(conn)

    def _let_go(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _make_room(self, address: str | None) -> bool:
        """Close the connection that has said nothing for longest, of an address or of all; whether there was one."""
        before = time.monotonic() - _GONE_SILENT
        sending, greeting = (
            [(until, conn) for conn, until in each.items()] for each in (self._sending, self._greeting)
        )
        kept = (self.keepalived_conns, self.cfg.keepalive)
        for found, patience in (
            (self.pending_conns, HEAD_WITHIN), (self._beginning, HEAD_WITHIN), (greeting, HEAD_WITHIN),
            (sending, HEAD_WITHIN), kept,
        ):  # fmt: skip
            for entry in tuple(found):
                until, conn = entry if isinstance(entry, tuple) else (entry.timeout, entry)
                if until - patience > before:
                    break  # those behind it have waited less
                if address in (None, conn.address):
                    found.remove(entry)
                    self._sending.pop(conn, None)
                    self._greeting.pop(conn, None)
                    self._woken.discard(conn)
                    with suppress(OSError, KeyError, ValueError):
                        self.poller.unregister(conn.sock)
                    self._let_go(conn)
                    return True
        return False

    def _out_of_descriptors(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._warned > _WARN_AGAIN:
            self._warned = now
            self.log.warning("connections cannot be taken: %s", error.strerror)
        self._make_room(None)
        time.sleep(_LOOK_AGAIN)  # the listener stays readable

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
        self._sending = {conn: min(until, end) for conn, until in self._sending.items()}
        self._greeting = {conn: min(until, end) for conn, until in self._greeting.items()}
        if now > self._stopping_since + _PATIENCE:
            self.app.hurry()
