# SPDX-License-Identifier: Apache-2.0
"""One served gRPC call: what the client sends, the coroutine that answers it, and the context that it is given."""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from network.embedded.transport.carrier import Carrier
from network.embedded.transport.frames import Error
from network.embedded.transport.hpack import Headers, encode
from network.embedded.transport.messages import (
    MessageFault,
    MessageReader,
    Metadata,
    answer_headers,
    framed,
    trailers,
)
from network.embedded.transport.streams import Stream

__all__ = ["Aborted", "Call", "Deadlines", "Method"]

log = logging.getLogger(__name__)

_STATUS = grpc.StatusCode
_ANSWER = answer_headers()
_OK = encode(trailers(0))

_SWEEP_S = 0.1
_MINDED_S = 0.05
"""How long after its deadline a call is ended: a handler that minds the deadline itself may say it in its own words."""


class Aborted(Exception):
    """Ends a call with a status other than OK."""

    def __init__(self, code: Any, text: str, metadata: Metadata = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.metadata = metadata


class Method:
    """A method of a service, from the handler that generated code registers."""

    __slots__ = ("answers", "behaviour", "decode", "encode", "is_generator", "takes_stream")

    def __init__(self, handler: Any) -> None:
        self.decode: Callable[[bytes], Any] = handler.request_deserializer or bytes
        self.encode: Callable[[Any], bytes] = handler.response_serializer or bytes
        self.takes_stream: bool = handler.request_streaming
        self.answers: bool = not handler.response_streaming
        """Whether there is exactly one answer."""
        self.behaviour: Any = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        self.is_generator = inspect.isasyncgenfunction(self.behaviour)


class Deadlines:
    """The calls that have a deadline, looked through now and then: a timer for each would cost more than the call."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: "Call") -> None:
        """Watch a call."""
        self._calls.add(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def discard(self, call: "Call") -> None:
        """The call has ended."""
        self._calls.discard(call)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for call in list(self._calls):
            call.expire(loop.time())
        self._timer = loop.call_later(_SWEEP_S, self._sweep) if self._calls else None


class Call:
    """One call. Towards its stream it is the receiver, towards the service the context, as `grpc.aio` knows it."""

    __slots__ = (
        "_begun",
        "_carrier",
        "_deadline",
        "_ended",
        "_finished",
        "_loop",
        "_method",
        "_owed",
        "_queue",
        "_reader",
        "_sent",
        "_stream",
        "_take",
        "_taken",
        "_task",
        "_timed",
        "_wake",
        "request_headers",
    )

    def __init__(
        self, carrier: Carrier, stream: Stream, method: Method, timeout: float | None, limit: int, timed: Deadlines
    ) -> None:
        self._carrier = carrier
        self._stream = stream
        self._method = method
        self._loop = asyncio.get_running_loop()
        self._reader = MessageReader(limit)
        self._queue: deque[bytes] = deque()
        """Messages that nobody has read yet."""
        self._owed = 0
        """Bytes taken from the stream's window that it gets back once the queue is empty."""
        self._wake: asyncio.Future[None] | None = None
        self._sent: asyncio.Future[None] | None = None
        self._take: Callable[[Any], None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun = self._ended = self._finished = False
        self.request_headers: Headers = ()
        self._deadline = None if timeout is None else self._loop.time() + timeout
        self._timed = timed
        if self._deadline is not None:
            timed.add(self)
        if method.takes_stream:
            self._start()

    # -- the stream's receiver -------------------------------------------------------------------------------------

    def headers(self, headers: Headers, end: bool) -> None:
        """Trailers of a client end what it sends; gRPC gives them no meaning."""
        if end:
            self.data(b"", True)

    def data(self, data: bytes, end: bool) -> None:
        """Accept what the client sent."""
        if self._finished:
            return
        try:
            for message in self._reader.feed(data):
                self._arrived(message)
        except MessageFault as fault:
            self._refuse(_code(fault.code), str(fault))
            return
        self._owed += len(data)
        self._pay()
        if end:
            self._client_ended()

    def reset(self, code: int) -> None:
        """The client cancelled the call, or is gone."""
        self._finish()
        if self._task is not None:
            self._task.cancel()
        self._release(ConnectionResetError("the client ended the call"))

    def drained(self) -> None:
        """What was written has been sent."""
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)

    # -- the service's context -------------------------------------------------------------------------------------

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline, None when it set none."""
        return None if self._deadline is None else max(0.0, self._deadline - self._loop.time())

    def invocation_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """What the client sent beside its messages, HTTP/2's own fields included; names are in lower case."""
        return tuple((name.decode("latin-1"), value) for name, value in self.request_headers)

    def auth_context(self) -> Mapping[str, list[bytes]]:
        """The certificate that the client presented, under the name that gRPC gives it."""
        tls = self._carrier.transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if not der:
            return {}
        return {"x509_pem_cert": [load_der_x509_certificate(der).public_bytes(Encoding.PEM)]}

    async def abort(self, code: Any, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """End the call with this status; does not return."""
        raise Aborted(code, details, trailing_metadata)

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        """Begin the answer before there is a message."""
        self._begin(metadata)
        self._carrier.schedule()

    async def read(self) -> Any:
        """The next message of the client, None when it sends no more."""
        while not self._queue:
            if self._ended:
                return None
            self._wake = self._loop.create_future()
            await self._wake
        message = self._queue.popleft()
        self._pay()
        return self._decode(message)

    async def write(self, message: Any) -> None:
        """Send a message; returns when the client's window and the socket have taken it."""
        self.send(message)
        while self._stream.waiting and not self._stream.closed:
            self._sent = self._loop.create_future()
            await self._sent

    def send(self, message: Any) -> None:
        """Send a message, however much waits already."""
        self._begin()
        self._carrier.connection.send_data(self._stream, framed(self._method.encode(message)))
        self._carrier.schedule()

    async def pump(self, take: Callable[[Any], None]) -> None:
        """Hand every message to `take` as it arrives, until the client sends no more; what it raises is raised here."""
        self._taken = self._loop.create_future()
        self._take = take
        while self._queue and not self._taken.done():
            self._hand_on(self._queue.popleft())
        self._pay()
        if self._ended and not self._taken.done():
            self._taken.set_result(None)
        try:
            await self._taken
        finally:
            self._take = None

    # -- inside ----------------------------------------------------------------------------------------------------

    def _pay(self) -> None:
        """Let the client send more, unless messages wait; one that is incomplete may need more than the window."""
        if self._owed and not self._queue:
            self._carrier.connection.credit(self._stream, self._owed)
            self._carrier.schedule()
            self._owed = 0

    def _arrived(self, message: bytes) -> None:
        if self._take is not None:
            self._hand_on(message)
            return
        if not self._method.takes_stream and self._queue:
            raise MessageFault(_STATUS.UNIMPLEMENTED.value[0], "more than one message in a unary call")
        self._queue.append(message)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _hand_on(self, message: bytes) -> None:
        assert self._take is not None
        assert self._taken is not None
        if self._taken.done():
            return
        try:
            self._take(self._decode(message))
        except Exception as error:
            self._taken.set_exception(error)

    def _client_ended(self) -> None:
        self._ended = True
        if self._method.takes_stream:
            self._release(None)
        elif self._queue:
            self._start()
        else:
            self._refuse(_STATUS.INTERNAL, "the call came without a message")

    def _release(self, error: Exception | None) -> None:
        """Wake the tasks that wait for the client."""
        self._ended = True
        for future in (self._wake, self._sent, self._taken):
            if future is None or future.done() or (future is self._sent and error is None):
                continue
            if error is None or future is not self._taken:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # the task that waited may have been cancelled already

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._answer()
        except Aborted as end:
            self._close(end.code, end.text, end.metadata)
        except Exception as error:
            log.exception("a call failed")
            self._close(_STATUS.UNKNOWN, f"Unexpected {type(error)}: {error}")

    async def _answer(self) -> None:
        method = self._method
        requests = self._requests() if method.takes_stream else self._decode(self._queue.popleft())
        if method.is_generator:
            responses = method.behaviour(requests, self)
            try:
                async for response in responses:
                    await self.write(response)
            finally:
                await responses.aclose()
        else:
            response = await method.behaviour(requests, self)
            if method.answers:
                self.send(response)
        self._begin()
        self._carrier.connection.end(self._stream, _OK)
        self._finish()

    async def _requests(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not None:
            yield message

    def _decode(self, message: bytes) -> Any:
        try:
            return self._method.decode(message)
        except Exception as error:  # whatever a deserialiser finds wrong with a client's bytes
            raise Aborted(_STATUS.INTERNAL, "the message cannot be decoded") from error

    def _begin(self, metadata: Metadata = ()) -> None:
        if not self._begun:
            self._begun = True
            self._carrier.connection.send_headers(self._stream, answer_headers(metadata) if metadata else _ANSWER)

    def _refuse(self, code: Any, text: str) -> None:
        """End a call from outside its handler."""
        self._close(code, text)
        if self._task is not None:
            self._task.cancel()

    def _close(self, code: Any, text: str, metadata: Metadata = ()) -> None:
        if self._finished:
            return
        ending = trailers(code.value[0], text, metadata)
        if not self._begun:
            ending = [(b":status", b"200"), (b"content-type", b"application/grpc"), *ending]
        connection = self._carrier.connection
        if connection.takes(tuple(ending)):
            connection.end(self._stream, encode(ending))
        else:  # as Fabric's peers do; a list that is too long would cost the client its connection
            connection.reset(self._stream, Error.INTERNAL_ERROR)
        self._finish()

    def _finish(self) -> None:
        self._finished = True
        if self._deadline is not None:
            self._timed.discard(self)
        self._carrier.schedule()

    def expire(self, now: float) -> None:
        """End the call when its deadline has passed."""
        if self._deadline is not None and now >= self._deadline + _MINDED_S:
            self._refuse(_STATUS.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def cancel(self) -> None:
        """End the call because the server stops."""
        self._refuse(_STATUS.UNAVAILABLE, "the server is stopping")

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The running handler."""
        return self._task


def _code(number: int) -> Any:
    return next(code for code in _STATUS if code.value[0] == number)
