# SPDX-License-Identifier: Apache-2.0
"""Health and metrics on a port of their own: no key is needed, no record is shown, any number of callers is borne.

One thread serves all connections and keeps few of them, each for a short time and for one request. Where there are too
many, the one that was there first and has not said what it wants makes room: a probe says it at once, and is answered.
"""

import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.rest.problems import problem
from gateway.services.ledgerview import as_list
from gateway.services.projector import Progress

CONNECTIONS = 64
"""How many are kept at once; each takes a file descriptor of the gateway's own process."""
WITHIN = 5.0
"""Seconds from the start of a connection until its answer must have been taken."""
_HEAD_LIMIT = 8 * 1024
_LOG = logging.getLogger(__name__)
_NO_DESCRIPTOR_PAUSE = 0.1


class Page(NamedTuple):
    """What is answered."""

    status: int
    media_type: str
    body: bytes


class Health:
    """Liveness, readiness and metrics of a gateway."""

    def __init__(
        self,
        progress: Callable[[], Progress],
        disabled: Callable[[], Mapping[str, str]],
        registry: CollectorRegistry,
        keyless: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Assign.

        Args:
            keyless: why the key that this gateway signs with cannot be used now, or None.
        """
        self._progress = progress
        self._disabled = disabled
        self._registry = registry
        self._keyless = keyless

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Publish a further value, read whenever somebody asks."""
        Gauge(name, description, registry=self._registry).set_function(read)

    def page(self, method: str, path: str) -> Page:
        """What is to be answered to a request."""
        pages = {"/healthz": self._alive, "/readyz": self._ready, "/metrics": self._metrics}
        make = pages.get(path.partition("?")[0])
        if make is None:
            return _refused(404, "no-such-path", f"There are {', '.join(pages)}.")
        if method not in ("GET", "HEAD"):
            return _refused(405, "method-not-allowed", "This can only be read.")
        return make()

    def _alive(self) -> Page:
        return _json(200, {"status": "alive"})

    def _ready(self) -> Page:
        now = self._progress()
        facts: dict[str, object] = {
            "height": now.height,
            "lag": now.lag,
            "streaming": now.streaming,
            "trouble": now.trouble,
        }
        facts["disabled_members"] = as_list(self._disabled())
        if (why := self._keyless()) is not None:
            facts["signing_key"] = why
        ready = now.caught_up and why is None
        return _json(200 if ready else 503, {"status": "ready" if ready else "not-ready", **facts})

    def _metrics(self) -> Page:
        return Page(200, CONTENT_TYPE_LATEST, generate_latest(self._registry))


@dataclass(slots=True)
class _Caller:
    sock: socket.socket
    until: float
    head: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class HealthServer:
    """Serves the pages from one thread; `stop` ends it."""

    def __init__(self, listener: socket.socket, health: Health) -> None:
        """Assign; the listener is the caller's to close."""
        self._listener = listener
        self._health = health
        self._callers: dict[int, _Caller] = {}
        """By file descriptor; the first to come first."""
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._wake.send(b"x")
        self._thread.join()
        for caller in tuple(self._callers.values()):
            self._close(caller)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _serve(self) -> None:
        while True:
            first = next(iter(self._callers.values()), None)
            timeout = None if first is None else max(0.0, first.until - time.monotonic())
            for key, _ in self._selector.select(timeout):
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd in self._callers:
                    self._go_on(self._callers[key.fd])
            now = time.monotonic()
            for caller in [one for one in self._callers.values() if one.until <= now]:
                self._close(caller)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as exc:  # the process has no descriptor left, or the caller is gone again
            _LOG.debug("a connection could not be taken: %s", exc)
            if not self._make_room():
                time.sleep(_NO_DESCRIPTOR_PAUSE)
            return
        if len(self._callers) >= CONNECTIONS:
            self._make_room()
        sock.setblocking(False)
        caller = self._callers[sock.fileno()] = _Caller(sock, time.monotonic() + WITHIN)
        self._selector.register(sock, selectors.EVENT_READ)
        self._go_on(caller)

    def _make_room(self) -> bool:
        """Close the first that has not said what it wants, else the first of all."""
        silent = (caller for caller in self._callers.values() if caller.answer is None)
        caller = next(silent, None) or next(iter(self._callers.values()), None)
        if caller is not None:
            self._close(caller)
        return caller is not None

    def _go_on(self, caller: _Caller) -> None:
        try:
            if caller.answer is None:
                self._read(caller)
            if caller.answer is not None:
                caller.answer = caller.answer[caller.sock.send(caller.answer) :]
                if not caller.answer:
                    self._end(caller)
        except BlockingIOError:
            pass
        except OSError:
            self._close(caller)

    def _read(self, caller: _Caller) -> None:
        found = caller.sock.recv(_HEAD_LIMIT)
        caller.head += found
        if b"\r\n\r\n" in caller.head:
            page, sends_body = self._answer(bytes(caller.head))
        elif not found or len(caller.head) >= _HEAD_LIMIT:
            page, sends_body = _refused(431 if found else 400, "malformed-request", "The head is none."), True
        else:
            return
        caller.answer = memoryview(_response(page, with_body=sends_body))
        self._selector.modify(caller.sock, selectors.EVENT_WRITE)

    def _answer(self, head: bytes) -> tuple[Page, bool]:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _refused(400, "malformed-request", "The request line is none of HTTP/1."), True
        try:
            return self._health.page(words[0], words[1]), words[0] != "HEAD"
        except Exception:
            _LOG.exception("health could not be reported")
            return _refused(500, "internal", "The gateway failed; its operator finds why."), True

    def _end(self, caller: _Caller) -> None:
        """Close a connection so that the answer arrives: what is left unread would have it destroyed."""
        caller.sock.shutdown(socket.SHUT_WR)
        with suppress(BlockingIOError):
            caller.sock.recv(_HEAD_LIMIT)
        self._close(caller)

    def _close(self, caller: _Caller) -> None:
        self._callers.pop(caller.sock.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(caller.sock)
        caller.sock.close()


def _response(page: Page, *, with_body: bool) -> bytes:
    lines = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
        "Connection: close",
        f"Content-Type: {page.media_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
    )
    return "\r\n".join([*lines, "", ""]).encode() + (page.body if with_body else b"")


def _json(status: int, value: dict[str, object]) -> Page:
    return Page(status, "application/json", json.dumps(value).encode())


def _refused(status: int, code: str, detail: str) -> Page:
    return Page(status, "application/problem+json", json.dumps(problem(status, code, detail)).encode())
