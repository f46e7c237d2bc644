# SPDX-License-Identifier: Apache-2.0
"""A client's connection as the worker keeps it: whom it counts for, and how much of a request it holds."""

import ipaddress
import re
import socket
import threading
from collections import Counter
from typing import Any

from gunicorn.workers.gthread import TConn

from gateway.server.tls import SecureSocket

_HEAD_LIMIT = 64 * 1024
_SHORT = 32 * 1024
"""Bytes of a request that the kernel keeps until all of them are there."""
_CLOSE_WAIT = 8
"""Linux's number of the state in which a TCP connection is once its other side has ended."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,5})[ \t]*\r\n", re.IGNORECASE)
_ASKS = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_GREETING = b"\x16\x03"
"""What a handshake of TLS begins with, and no method of HTTP."""
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
        self.silent_until: float | None = None
        """Until when the first byte of its next request must come, once that is awaited."""
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


def met(conn: Any) -> str:
    """How far a connection is that was just made or has something to say: as `arrived`, and before that, under TLS,
    `greeting`, a `stranger` where the handshake failed, or `astray`: it speaks HTTP where TLS is, or the reverse.
    """
    if isinstance(conn.sock, SecureSocket) and not conn.sock.established:
        try:
            if not conn.sock.greet():
                return "greeting"
        except OSError as exc:
            return "astray" if getattr(exc, "reason", None) == "HTTP_REQUEST" else "stranger"
    return arrived(conn)


def arrived(conn: Any) -> str:
    """How much of a request there is for a connection: `nothing`, a `part` of a head, or `too much` for one.

    A whole head that asks for something and sends nothing is a `question`; one whose short body is still to come is
    `begun`; and what begins as TLS does is `astray`. For what else is `all`, a thread reads the rest; so it is for the
    end of the connection and its errors, because a thread closes what has to be closed.
    """
    # What came with the request before, which is with the parser already.
    kept: bytes = b"" if conn.parser is None else conn.parser.unreader.buf.getvalue()
    try:
        more = conn.sock.recv(_HEAD_LIMIT, _PEEK)
    except BlockingIOError:
        if not kept:
            return "nothing"
        more = b""
    except OSError:
        return "all"
    else:
        if not more:
            return "all"
    found = kept + more
    end = found.find(b"\r\n\r\n") + 4
    if end < 4:
        if found.startswith(_GREETING):
            return "astray"
        return "too much" if len(found) >= _HEAD_LIMIT else "all" if _ended(conn.sock) else "part"
    if end == len(found) and found.startswith(b"GET "):
        return "question"
    return "begun" if not kept and _lacks(found, end) and not _ended(conn.sock) else "all"


def _ended(sock: Any) -> bool:
    """Whether a client has ended its sending half, which the bytes that came before hide; where the kernel tells."""
    if isinstance(sock, SecureSocket) and sock.ended:
        return True
    return hasattr(socket, "TCP_INFO") and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE_WAIT


def wake_when_whole(conn: Any) -> None:
    """Have the poller name a connection whose request has `begun` once all of it is there, or its client is gone.

    Of one under TLS only the client knows how much that is: the poller names it whenever something comes.
    """
    if isinstance(conn.sock, SecureSocket):
        return
    found = conn.sock.recv(_HEAD_LIMIT, _PEEK)
    missing = _lacks(found, found.find(b"\r\n\r\n") + 4)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(found) + missing)


def wake_at_once(conn: Any) -> None:
    """Have the poller name a connection when anything comes."""
    if isinstance(conn.sock, SecureSocket):
        return
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def holds(conn: Any) -> bool:
    """Whether the beginning of another request is here already, of which the poller does not know."""
    return bool(conn.parser.unreader.buf.getvalue()) or (isinstance(conn.sock, SecureSocket) and conn.sock.holds)


def _lacks(found: bytes, end: int) -> int:
    """How many bytes of a short body are missing behind a head; 0 where none are, or nobody is to wait for them."""
    length = _LENGTH.search(found, 0, end)
    if length is None or _ASKS.search(found, 0, end):
        return 0
    whole = end + int(length[1])
    return max(0, whole - len(found)) if whole <= _SHORT else 0
