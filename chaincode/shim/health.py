# SPDX-License-Identifier: Apache-2.0
"""A small HTTP endpoint on a port of its own, so that an orchestrator can ask without speaking gRPC.

One thread serves all connections and keeps few of them, each for a short time and for one request. Where there are too
many, the one that was there first makes room: a probe says at once what it wants, and is answered at once.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from chaincode.shim.errors import SettingsError
from chaincode.shim.sockets import chosen_address, listen_on

_MOST_CONNECTIONS = 16
"""How many are kept at once; each takes a file descriptor of the chaincode's own process."""
_BACKLOG = 128
"""How many may wait to be accepted; they are accepted together, before any of the older ones makes room."""
_SLOWEST_CLIENT = 5.0
"""Seconds from the start of a connection until its request must have come."""
_LARGEST_HEAD = 8 * 1024


class HealthEndpoint:
    """Answers `/healthz` (the process lives) and `/readyz` (it takes transactions) with 200 or 503 and JSON.

    `status` gives the facts to show; `ready` among them decides about `/readyz`.
    """

    def __init__(self, address: str, status: Callable[[], dict[str, Any]]) -> None:
        try:
            self._socket = listen_on(address, _BACKLOG)
        except OSError as error:
            raise SettingsError(f"the health endpoint cannot listen on {address}") from error
        self.address = chosen_address(address, self._socket)
        """Where it listens, with the port that the system chose."""
        self._status = status
        self._callers: dict[asyncio.Task[Any], None] = {}
        """What serves each connection; the first to come first."""
        self._ending = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._meet, sock=self._socket, limit=_LARGEST_HEAD, backlog=_BACKLOG)
        await self._ending.wait()
        server.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._callers) >= _MOST_CONNECTIONS:
            first = next(iter(self._callers))
            del self._callers[first]
            first.cancel()
        self._callers[task] = None
        try:
            async with asyncio.timeout(_SLOWEST_CLIENT):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(head))
            writer.close()  # once the answer, which every socket's buffer holds, has been taken
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            self._callers.pop(task, None)

    def _answer(self, head: bytes) -> bytes:
        method, path = (*head.partition(b"\r\n")[0].split(b" "), b"")[:2]
        facts = self._status()
        code = {b"/healthz": 200, b"/readyz": 200 if facts["ready"] else 503}.get(path, 404)
        if method != b"GET":
            code = 405
        body = json.dumps(facts).encode()
        lines = (
            f"HTTP/1.1 {code} {HTTPStatus(code).phrase}",
            "Connection: close",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join([*lines, "", ""]).encode() + body
