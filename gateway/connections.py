# SPDX-License-Identifier: Apache-2.0
"""A client's connection as the worker keeps it: whom it counts for, and how much of a request it holds."""

import ipaddress
import socket
import threading
from collections import Counter
from typing import Any

from gunicorn.workers.gthread import TConn

_HEAD_LIMIT = 64 * 1024
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_AT_ONCE = int(socket.MSG_DONTWAIT)


class Crowd:
    """How many connections each address has; thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, address: str, count: int) -> None:
        """Count connections that were made, or closed (negative)."""
        with self._lock:
            self._counts[address] += count
            if not self._counts[address]:
                del self._counts[address]

    def exceeds(self, address: str) -> bool:
        """Whether an address has more than it may."""
        with self._lock:
            return self._counts[address] > self.limit


class Connection(TConn):  # type: ignore[misc]  # gunicorn ships no types
    """A client's connection, and the address that it counts for."""

    def __init__(self, *args: Any, crowd: Crowd) -> None:
        super().__init__(*args)
        self.address = address_of(self.client)
        self._crowd = crowd
        self._open = True
        crowd.add(self.address, 1)

    def close(self, graceful: bool = False) -> None:
        """Close it; the second time has no effect."""
        if self._open:
            self._open = False
            self._crowd.add(self.address, -1)
            super().close(graceful)


def address_of(client: Any) -> str:
    """What a client's connections are counted for: its address; for IPv6 its network, of which one client has all."""
    address = ipaddress.ip_address(client[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


def closed(conn: Any) -> bool:
    """Whether the client has closed a connection too; what it sends meanwhile is thrown away."""
    try:
        return not conn.sock.recv(_HEAD_LIMIT, _AT_ONCE)
    except BlockingIOError:
        return False
    except OSError:
        return True


def arrived(conn: Any) -> str:
    """How much of a head there is for a connection: `nothing`, a `part`, `all` that a thread needs, or `too much`.

    A whole head that asks for something and sends nothing is a `question`. The end of the connection and its errors
    are for a thread as well: it closes what has to be closed.
    """
    # What came with the request before, which is with the parser already.
    head: bytes = b"" if conn.parser is None else conn.parser.unreader.buf.getvalue()
    try:
        more = conn.sock.recv(_HEAD_LIMIT, _PEEK)
    except BlockingIOError:
        if not head:
            return "nothing"
    except OSError:
        return "all"
    else:
        if not more:
            return "all"
        head += more
    if head.endswith(b"\r\n\r\n") and head.startswith(b"GET "):
        return "question"
    if b"\r\n\r\n" in head:
        return "all"
    return "too much" if len(head) >= _HEAD_LIMIT else "part"
