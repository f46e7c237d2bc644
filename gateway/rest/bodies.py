# SPDX-License-Identifier: Apache-2.0
"""Request bodies: read once, to the end that the head announces; in memory none but a JSON document.

An upload goes to a temporary file that has no name, so that the kernel removes it when it is closed, or with the
process that dies. On a file system where a file cannot be made without a name it has one for an instant; what a crash
leaves there is removed at the next start.
"""

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from werkzeug.wrappers import Request

from gateway.rest.problems import HttpProblem
from gateway.services.ports import PortError, StorageFailed, StorageFull
from gateway.services.shares import Shares
from gateway.services.spooled import Room, SpooledFile

UPLOADS_AT_ONCE = 4
"""How many uploads of the greatest size there is room for on disk, where nothing else is said."""
_PIECE = 256 * 1024
_PREFIX = "upload-"


class Spool:
    """Where uploads are kept while they are read, bounded each, by client and together; thread-safe."""

    def __init__(self, folder: Path, limit: int, budget: int | None = None) -> None:
        """Make the folder, and remove what a process that was killed left in it.

        Args:
            limit: bytes that one upload may have.
            budget: bytes that all of them may have at the same time.
        """
        self.limit = limit
        self._folder = folder
        self.room = Shares(UPLOADS_AT_ONCE * limit if budget is None else budget, "bytes of uploads at once")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_PREFIX}*"):
            leftover.unlink()

    def receive(self, client: str, body: Iterable[bytes], note: Callable[[bytes], None]) -> SpooledFile:
        """Write a body to a file, ready to be read from its beginning; who gets it closes it.

        Args:
            client: whose share of the room it takes up, until nobody has it open.
            note: called with every piece, in their order.

        Raises what `body` raises, `Unavailable` where there is no room, `StorageFull` and `StorageFailed`.
        """
        try:
            raw = tempfile.TemporaryFile(dir=self._folder, prefix=_PREFIX, buffering=0)  # noqa: SIM115 - handed on
        except OSError as exc:
            raise _of_the_disk(exc) from exc
        spooled = SpooledFile(raw, Room(self.room, client))
        try:
            for piece in body:
                spooled.append(piece)
                note(piece)
            spooled.seek(0)
        except OSError as exc:
            spooled.close()
            raise _of_the_disk(exc) from exc
        except BaseException:
            spooled.close()
            raise
        return spooled


def announced(incoming: Request) -> bool:
    """Whether the head of a request says that a body follows."""
    return incoming.content_length not in (None, 0) or "Transfer-Encoding" in incoming.headers


def pieces(incoming: Request, limit: int) -> Iterator[bytes]:
    """The body of a request, piece by piece, to its announced end (RFC 9112, sections 6.3 and 8).

    Raises `HttpProblem`: `body-too-large` at once where the head announces more than `limit` bytes, else as soon as
    more have come; `body-incomplete` where the connection ended before the body did; `request-timeout` where the rest
    does not come.
    """
    stream = incoming.environ["wsgi.input"]
    length = incoming.content_length
    if length is None and "wsgi.input_terminated" not in incoming.environ:
        return
    found = 0
    while length is None or found < length:
        if (length or 0) > limit or found > limit:
            raise HttpProblem(413, "body-too-large", f"This route takes at most {limit} bytes.", limit=limit)
        piece = _read(stream, _PIECE if length is None else min(_PIECE, length - found))
        found += len(piece)
        if not piece and length is None:
            return
        if not piece:
            raise _incomplete(f"{found} of {length} bytes came")
        if found <= limit:
            yield piece


def whole(incoming: Request, limit: int) -> bytes:
    """A whole body in memory; raises as `pieces` does."""
    return b"".join(pieces(incoming, limit)) if announced(incoming) else b""


def _read(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except (TimeoutError, BlockingIOError):
        raise HttpProblem(408, "request-timeout", "The body of the request did not arrive in time.") from None
    except OSError:
        raise _incomplete("the connection ended") from None


def _incomplete(what: str) -> HttpProblem:
    return HttpProblem(400, "body-incomplete", f"The body of the request ended before its end: {what}.")


def _of_the_disk(exc: OSError) -> PortError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("the gateway's disk is full")
    return StorageFailed(f"an upload cannot be kept on the gateway's disk: {exc.strerror}")
