# SPDX-License-Identifier: Apache-2.0
"""A client's connection under TLS, as the worker uses a plain one: it can be peeked at, and nothing waits unasked.

The handshake is made as its bytes arrive, on the event loop, which never waits for them; a thread reads and writes
only what a request is about. What a client may have us keep is bounded: of what it sent, of what it does not take, and
of how long one call works for bytes that bring nothing.
"""

import socket
import ssl
import time
from contextlib import suppress

PAUSE_WITHIN = 10
"""Seconds that a call which waits may take until it has something to return."""
KEPT = 64 * 1024
"""Bytes that were decrypted and not read yet: a head at most, as of plain connections."""
_PIECE = 64 * 1024
_RECORD = 16 * 1024
_AT_ONCE = 256 * 1024
"""Bytes that one look takes from a connection, so that no client keeps the event loop busy with one."""
_NOT_TAKEN = 64 * 1024
"""Bytes of handshakes and of other messages of TLS that a client may leave unread."""
_NO_WAIT = int(socket.MSG_DONTWAIT)
_PEEK = int(socket.MSG_PEEK)


class SecureSocket:
    """The server's end of a connection under TLS; used by one thread at a time.

    What fails raises `OSError`, as it does of a plain socket: `ssl.SSLError` is one.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._from_client, self._to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_client, self._to_client, server_side=True)
        self._plain = bytearray()
        self._unsent = b""
        self._ended = False
        self._closing = False
        self._waits = True
        self.established = False
        """Whether the handshake is over, so that there may be requests."""
        self.certificate: bytes | None = None
        """The client's certificate (DER), whose key the handshake proved it has; `None` where it brought none."""

    # -- the socket as it is ------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._waits = flag
        self._sock.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._sock.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int = 0) -> bytes | int:
        return self._sock.getsockopt(level, option, size) if size else self._sock.getsockopt(level, option)

    def close(self) -> None:
        self._sock.close()

    # -- the handshake ------------------------------------------------------------------------------------------

    def greet(self) -> bool:
        """Go on with the handshake as far as its bytes are there, without waiting; whether it is over.

        Raises `OSError` where it fails, or the client is gone.
        """
        while not self._shake_hands():
            try:
                data = self._sock.recv(_PIECE, _NO_WAIT)
            except BlockingIOError:
                return False
            if not data:
                raise ConnectionResetError("the client ended the connection within its handshake")
            self._from_client.write(data)
            if self._from_client.pending > _AT_ONCE:
                raise ConnectionAbortedError("the handshake is too long")
        return True

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        else:
            self.established = True
            self.certificate = self._tls.getpeercert(binary_form=True)
            return True
        finally:
            with suppress(BlockingIOError):
                self._flush(_NO_WAIT)

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether something is here that the poller does not know of: it only sees what comes from the client."""
        return bool(self._plain) or bool(self._from_client.pending) or self._ended

    @property
    def ended(self) -> bool:
        """Whether the client said that nothing more comes."""
        return self._ended

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As of a plain socket, with `MSG_PEEK` and `MSG_DONTWAIT`; `BlockingIOError` where nothing is there.

        A call that waits ends after `PAUSE_WITHIN` seconds: bytes that complete no record of TLS do not prolong it.
        """
        if self._closing:
            return self._sock.recv(size, flags & ~_PEEK)
        waits = self._waits and not flags & _NO_WAIT
        if flags & _PEEK or not self._plain:
            self._fill(waits=waits)
        if not self._plain:
            if self._ended:
                return b""
            raise BlockingIOError("nothing has come")
        found = bytes(self._plain[:size])
        if not flags & _PEEK:
            del self._plain[:size]
        return found

    def _fill(self, *, waits: bool) -> None:
        """Decrypt what is there, or what comes first; up to what may be kept."""
        until = time.monotonic() + PAUSE_WITHIN
        taken = 0
        while True:
            self._decrypt()
            if self._ended or len(self._plain) >= KEPT or (self._plain and waits) or taken >= _AT_ONCE:
                return
            try:
                data = self._sock.recv(_PIECE, 0 if waits else _NO_WAIT)
            except BlockingIOError:
                if waits:
                    raise TimeoutError("nothing came") from None
                return
            if data:
                self._from_client.write(data)
            else:
                self._ended = True
            if waits and time.monotonic() >= until:
                raise TimeoutError("no whole record came")
            taken += 0 if waits else len(data)

    def _decrypt(self) -> None:
        try:
            while len(self._plain) < KEPT:
                data = self._tls.read(_RECORD)
                if not data:
                    self._ended = True
                    return
                self._plain += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        finally:
            with suppress(BlockingIOError):
                self._flush(_NO_WAIT)
        if len(self._unsent) > _NOT_TAKEN:
            raise ConnectionAbortedError("the client takes nothing of what it is sent")

    # -- writing ------------------------------------------------------------------------------------------------

    def send(self, data: "bytes | memoryview", flags: int = 0) -> int:
        """Send the beginning of `data`; how much of it. It takes at most `PAUSE_WITHIN` seconds."""
        sent = self._tls.write(data[:_PIECE])
        if flags & _NO_WAIT or not self._waits:
            with suppress(BlockingIOError):
                self._flush(_NO_WAIT)
            return sent
        until = time.monotonic() + PAUSE_WITHIN
        self._collect()
        while self._unsent:
            if time.monotonic() >= until:
                raise TimeoutError("what was sent is not taken")
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        return sent

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest) :]

    def send_in_clear(self, data: bytes) -> None:
        """Send what the kernel takes without waiting to a client that does not speak TLS; it may be gone."""
        with suppress(OSError):
            self._sock.send(data, _NO_WAIT)

    def shutdown(self, how: int) -> None:
        """Say, under TLS too, that nothing more comes; what the client still sends is not decrypted any more."""
        self._closing = True
        with suppress(OSError):
            if self.established:
                self._tls.unwrap()
        with suppress(OSError):
            self._flush(_NO_WAIT)
        self._sock.shutdown(how)

    def _collect(self) -> None:
        if self._to_client.pending:
            self._unsent += self._to_client.read()

    def _flush(self, flags: int) -> None:
        self._collect()
        while self._unsent:
            self._unsent = self._unsent[self._sock.send(self._unsent, flags) :]
