# SPDX-License-Identifier: Apache-2.0
"""HTTP with patience: one idempotency key per recording, sent again until it is answered or time is up.

Where nothing answers, the logger `pedigree` says so once for each call, after a second, and until when it is tried.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from pedigree.connections import Connections
from pedigree.errors import OutcomeUnknown, PedigreeError, Unavailable, Unreachable, from_problem
from pedigree.security import Security
from pedigree.uploads import Progress, Upload, Watcher

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
Timeouts = tuple[float, float, float, float]
"""Seconds to connect, to read, to write and to wait for a connection, as httpx takes them."""
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0
_FIRST_POLL = 0.05
_LONGEST_POLL = 1.0
_SAY_AFTER = 1.0
"""Seconds in which nothing answers before that is said."""
_FIRST_CONNECT = 1.0
"""Seconds for the first connection that is tried, twice as many for each further one: an address that swallows what is
sent to it is noticed before the time of the call is up."""
_LOG = logging.getLogger("pedigree")


@dataclass(frozen=True, slots=True)
class Received:
    """A successful answer."""

    status: int
    body: Json
    headers: Mapping[str, str]


class Transport:
    """One gateway's address and key; thread-safe."""

    def __init__(self, connections: Connections, *, timeout: float, security: Security) -> None:
        self._connections = connections
        self.security = security
        """Which certificates are believed, of other gateways too."""
        self._timeout = timeout
        self._height = 0

    @property
    def height(self) -> int:
        """Highest ledger height that this client's own recordings reached, or that it was asked to expect."""
        return self._height

    def at_least(self, height: int) -> None:
        """Let the following reads wait until the gateway has seen this height."""
        self._height = max(self._height, height)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def get(self, path: str, **parameters: str | int | None) -> Json:
        """Read; waits for this client's own recordings to be visible."""
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        headers = {"Min-Ledger-Height": str(self._height)} if self._height else {}
        return self._patiently("GET", path, params=query, headers=headers).body

    def send(self, path: str, *, upload: Upload | None, query: Mapping[str, str]) -> Json:
        """A POST that records nothing."""
        headers = {"Min-Ledger-Height": str(self._height)} if self._height else {}
        if upload is None:
            return self._patiently("POST", path, params=dict(query), headers=headers).body
        deadline = self._deadline(upload)
        request = {"params": dict(query), "headers": {**headers, **upload.headers}, "content": upload.pieces}
        return self._patiently("POST", path, deadline=deadline, **request).body

    def fetch(self, path: str, file: BinaryIO, watch: Callable[[int], None]) -> None:
        """Read an answer into a file, after a lost connection from its beginning again; `watch` is given its bytes."""
        asked = {"Min-Ledger-Height": str(self._height)} if self._height else {}

        def once(timeouts: Timeouts) -> tuple[Received | PedigreeError, float]:
            file.seek(0)
            file.truncate()
            try:
                with self._connections.stream("GET", path, timeout=timeouts, headers=asked) as response:
                    if response.status_code >= 400:
                        response.read()
                        return _received(response)
                    for piece in response.iter_bytes():
                        file.write(piece)
                        watch(file.tell())
            except Unreachable as error:
                return error, 0.0
            return Received(response.status_code, {}, response.headers), 0.0

        self._repeated(once, None)

    def record(
        self,
        path: str,
        key: str | None,
        *,
        upload: Upload | None = None,
        watcher: Watcher | None = None,
        **request: Any,
    ) -> Received:
        """A POST that records, exactly once; waits for the outcome of what was accepted for later.

        How far that is, the watcher hears, and without one that of the upload.

        An error that leaves the outcome open names the idempotency key, and the operation once there is one, in its
        `facts`.
        """
        key = key or str(uuid.uuid4())
        headers = {"Idempotency-Key": key, **request.pop("headers", {})}
        deadline = self._deadline(upload)
        if upload is not None:
            headers |= upload.headers | ({"Prefer": "respond-async"} if upload.is_large else {})
            request["content"] = upload.pieces
        try:
            received = self._patiently("POST", path, headers=headers, deadline=deadline, **request)
            if received.status == 202:
                received = self._operation(str(received.body["operation"]), deadline, upload, watcher)
        except (Unavailable, Unreachable) as error:
            error.facts.setdefault("idempotency_key", key)
            raise
        block = received.body.get("transaction", {}).get("block")
        if isinstance(block, int):
            self.at_least(block + 1)
        return received

    def _deadline(self, upload: Upload | None) -> float:
        return time.monotonic() + self._timeout + (0 if upload is None else upload.patience)

    def _operation(self, operation: str, deadline: float, upload: Upload | None, watcher: Watcher | None) -> Received:
        size = 0 if upload is None else upload.size
        progress = Progress("accepted", size, size, operation=operation)
        watch = watcher or ((lambda _: None) if upload is None else upload.watcher)
        pause = _FIRST_POLL
        while True:
            watch(progress)
            received = self._patiently("GET", f"/v1/operations/{operation}", deadline=deadline)
            if received.body["state"] == "succeeded":
                return Received(received.body["status"], received.body["result"], received.headers)
            if received.body["state"] == "failed":
                raise from_problem(received.body["status"], received.body["result"])
            if time.monotonic() > deadline:
                raise OutcomeUnknown(
                    "The outcome is not known yet.", code="pending", retryable=True, facts={"operation": operation}
                )
            before, progress = progress, progress.updated(received.body)
            if progress != before:  # as long as it comes on, it is not given up
                deadline = max(deadline, time.monotonic() + self._timeout)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL)

    def _patiently(self, method: str, path: str, *, deadline: float | None = None, **request: Any) -> Received:
        """Repeat what may be repeated: every request here is either a read or carries a key."""
        return self._repeated(lambda timeouts: self._once(method, path, timeouts, request), deadline)

    def _repeated(
        self, once: Callable[[Timeouts], tuple[Received | PedigreeError, float]], deadline: float | None
    ) -> Received:
        """Do something within these times, until it is answered or time is up."""
        begun = time.monotonic()
        deadline = begun + self._timeout if deadline is None else deadline
        pause = _FIRST_PAUSE
        connect = _FIRST_CONNECT
        said = False
        while True:
            error, wait = once(_timeouts(max(0.1, deadline - time.monotonic()), connect))
            if isinstance(error, Received):
                return error
            connect *= 2
            pause = min(pause * 2, _LONGEST_PAUSE)
            wait = max(wait, random.uniform(0, pause))  # noqa: S311 - jitter
            if not error.retryable or time.monotonic() + wait > deadline:
                raise error
            if isinstance(error, Unreachable) and not said and time.monotonic() + wait >= begun + _SAY_AFTER:
                said = True
                _LOG.warning("%s; trying again until %s", error.detail, _clock(deadline))
            time.sleep(wait)

    def _once(
        self, method: str, path: str, timeouts: Timeouts, request: Mapping[str, Any]
    ) -> tuple[Received | PedigreeError, float]:
        if callable(request.get("content")):  # a body in pieces, which are made anew for each attempt
            request = {**request, "content": request["content"]()}
        try:
            response = self._connections.request(method, path, timeout=timeouts, **request)
        except Unreachable as error:
            return error, 0.0
        return _received(response)


def _timeouts(remaining: float, connect: float) -> Timeouts:
    return min(connect, remaining), remaining, remaining, remaining


def _clock(deadline: float) -> str:
    """When it will be that time of the monotonic clock, on the clock on the wall."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + deadline - time.monotonic()))


def _received(response: "httpx.Response") -> tuple[Received | PedigreeError, float]:
    """A successful answer, or the error for another one and how long to wait before it is asked again."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.status_code < 400 and isinstance(body, dict):
        return Received(response.status_code, body, response.headers), 0.0
    after = response.headers.get("Retry-After", "")
    return from_problem(response.status_code, body), float(after) if after.isdecimal() else 0.0
