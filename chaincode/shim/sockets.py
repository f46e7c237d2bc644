# SPDX-License-Identifier: Apache-2.0
"""Bytes to and from one peer, with TLS or without: one thread reads, one at a time writes, and neither waits."""

import contextlib
import os
import socket
import ssl
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from chaincode.shim.settings import Tls

_CHUNK = 256 * 1024
# The kernel asks after a minute of silence where that can be set; by itself it would wait for two hours.
_KEEPALIVE = [
    (getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]


def listen_on(address: str, backlog: int) -> socket.socket:
    """A socket that listens on "host:port" or "[host]:port"; port 0 lets the system choose.

    Raises:
        OSError: when the address cannot be listened on. It is not shared with another process, which would silently
            take half of the peers.
    """
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    return socket.create_server((bare, int(port)), family=family, backlog=backlog)


def chosen_address(address: str, listening: socket.socket) -> str:
    """`address` with the port that a socket which listens there has got."""
    return f"{address.rpartition(':')[0]}:{listening.getsockname()[1]}"


class Wire(ABC):
    """A connected socket. `receive` belongs to the reading thread; `seal` and `send` to the one that writes."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer whose machine vanished says nothing: the kernel asks for it.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)

    @abstractmethod
    def handshake(self, seconds: float) -> None:
        """Agree on TLS where there is any; raises OSError, also when the peer is silent for `seconds`."""
        ...

    @abstractmethod
    def receive(self) -> bytes:
        """The next bytes, empty at the end; raises OSError."""
        ...

    @abstractmethod
    def seal(self, data: bytes) -> bytes:
        """What is to be sent for `data`, in the order of the calls; with empty `data`, what TLS itself wants to say."""
        ...

    def send(self, sealed: bytes) -> None:
        """Send all of it; raises OSError."""
        self._socket.sendall(sealed)

    def close(self) -> None:
        """Hang up; a thread that reads or sends is woken. May be called by any thread, and twice."""
        with contextlib.suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the socket back to the system; after `close`, when nobody uses it any more."""
        self._socket.close()


class Plain(Wire):
    """Bytes as they are."""

    def handshake(self, seconds: float) -> None:
        pass

    def receive(self) -> bytes:
        return self._socket.recv(_CHUNK)

    def seal(self, data: bytes) -> bytes:
        return data


class Secure(Wire):
    """TLS as the server.

    OpenSSL does not let two threads use one connection at once, so it works on buffers under a lock, and the socket is
    read and written outside that lock.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connected)
        self._lock = threading.Lock()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def handshake(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self._answer()
                    self._fetch()
        finally:
            self._answer()  # also the alert that says why not
        self._socket.settimeout(None)

    def receive(self) -> bytes:
        while True:
            with self._lock:
                found = self._decrypted()
            if found is not None:
                return found
            self._fetch()

    def seal(self, data: bytes) -> bytes:
        with self._lock:
            if data:
                self._tls.write(data)
            return self._outgoing.read()

    def _decrypted(self) -> bytes | None:
        """What has arrived, empty at the end of the connection, None when more must be fetched first."""
        parts: list[bytes] = []
        try:
            while part := self._tls.read(_CHUNK):  # empty when the peer has said that it ends
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts) or None
        return b"".join(parts)

    def _fetch(self) -> None:
        data = self._socket.recv(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _answer(self) -> None:
        if data := self._outgoing.read():
            self._socket.sendall(data)


def server_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer with ALPN h2; where roots are given, every client must show a certificate of theirs.

    Raises:
        OSError: when the material cannot be used; `ssl.SSLError` is one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _pair_as_file(tls) as name:
        context.load_cert_chain(name)
    if tls.roots is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=tls.roots.decode("ascii"))
        # A certificate that was named is trusted as it stands, also an intermediate authority's.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    return context


@contextlib.contextmanager
def _pair_as_file(tls: Tls) -> Iterator[str]:
    """Key and certificate where the standard library can read them: a file of this process's own, gone at once."""
    descriptor, name = tempfile.mkstemp(prefix="pedigree-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(tls.key + b"\n" + tls.certificate)
        yield name
    finally:
        Path(name).unlink()
