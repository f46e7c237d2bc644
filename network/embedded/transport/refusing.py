# SPDX-License-Identifier: Apache-2.0
"""Answers to requests that reach no service."""

from typing import Any

from network.embedded.transport.carrier import Carrier
from network.embedded.transport.frames import Error
from network.embedded.transport.hpack import Headers, encode
from network.embedded.transport.messages import trailers
from network.embedded.transport.streams import Stream

__all__ = ["refuse", "refuse_http", "reset"]


def refuse(carrier: Carrier, stream: Stream, code: Any, text: str) -> None:
    """Answer a call that has no handler."""
    stream.receiver = NullReceiver()
    status = [(b":status", b"200"), (b"content-type", b"application/grpc"), *trailers(code.value[0], text)]
    carrier.connection.end(stream, encode(status))
    carrier.schedule()


def refuse_http(carrier: Carrier, stream: Stream, status: int) -> None:
    """Answer a request that is not a gRPC call."""
    stream.receiver = NullReceiver()
    carrier.connection.end(stream, encode([(b":status", str(status).encode())]))
    carrier.schedule()


def reset(carrier: Carrier, stream: Stream, code: Error) -> None:
    """End a stream whose headers are not a request."""
    stream.receiver = NullReceiver()
    carrier.connection.reset(stream, code)
    carrier.schedule()


class NullReceiver:
    """The receiver of a stream that was answered already."""

    def headers(self, headers: Headers, end: bool) -> None: ...
    def data(self, data: bytes, end: bool) -> None: ...
    def reset(self, code: int) -> None: ...
    def drained(self) -> None: ...
