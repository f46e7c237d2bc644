# SPDX-License-Identifier: Apache-2.0
"""Kept connections to one gateway, each with a client of its own, for any number of threads.

A shared pool of httpx looks at each of its connections for each request, and compares them with one another, so that
fifty threads spend most of their time in it. Here a thread takes whatever connection was used last and is free.

httpx is imported where a client is made: it takes longer than the rest of the SDK, and checking evidence needs none.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pedigree.errors import Unreachable
from pedigree.security import refused

if TYPE_CHECKING:
    import httpx

_KEPT = 64


class Connections:
    """As many connections as there are requests at once, of which the most recently used are kept; thread-safe."""

    def __init__(
        self,
        url: str,
        key: "str | Callable[[], str] | None",
        transport: "httpx.BaseTransport | None",
        tls: ssl.SSLContext,
    ) -> None:
        self.url = url
        self._key = key
        self._transport = transport
        # The trust store takes long to load; the clients share it.
        self._tls = tls
        self._free: list[httpx.Client] = []
        self._closed = False
        self._lock = threading.Lock()

    def request(self, method: str, path: str, **request: Any) -> "httpx.Response":
        """Send one request and read the whole answer; raises `Unreachable`."""
        with self._client() as client:
            return client.request(method, path, **request)

    @contextmanager
    def stream(self, method: str, path: str, **request: Any) -> "Iterator[httpx.Response]":
        """Send one request, and read the answer in the block, piece by piece; raises `Unreachable` there too."""
        with self._client() as client, client.stream(method, path, **request) as response:
            yield response

    @contextmanager
    def _client(self) -> "Iterator[httpx.Client]":
        import httpx

        key = self._key() if callable(self._key) else None
        client = self._take()
        if key is not None:
            client.headers["Authorization"] = f"Bearer {key}"
        try:
            yield client
        except httpx.HTTPError as exc:
            if (certificate := refused(self.url, exc)) is not None:
                raise certificate from None
            reason = f"{self.url} does not answer: {str(exc) or type(exc).__name__}"
            raise Unreachable(reason, code="unreachable", retryable=True) from None
        finally:
            self._give_back(client)

    def close(self) -> None:
        """Close what is free now, and the rest as it is given back."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for client in free:
            client.close()

    def _take(self) -> "httpx.Client":
        import httpx

        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._free:
                return self._free.pop()
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self._key}"} if isinstance(self._key, str) else {},
            transport=self._transport,
            verify=self._tls,
            limits=httpx.Limits(max_connections=1),
        )

    def _give_back(self, client: "httpx.Client") -> None:
        with self._lock:
            # A transport that was given serves every client here, so none of them may close it before its time.
            if not self._closed and (len(self._free) < _KEPT or self._transport is not None):
                self._free.append(client)
                return
        client.close()
