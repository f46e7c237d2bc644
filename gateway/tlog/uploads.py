# SPDX-License-Identifier: Apache-2.0
"""What a mirror is asked (c2sp.org/tlog-mirror, `add-entries`): to have a log's entries, and to cosign that it has::

    length of origin (2) ‖ origin ‖ upload start (8) ‖ upload end (8) ‖ length of ticket (2) ‖ ticket

Packages of entries follow, none where start and end are the same. A mirror answers signature lines, or, where it needs
another upload than this one, the size of a checkpoint that it knows, its next entry, and base64 of a ticket, a line
each.
"""

from dataclasses import dataclass
from typing import Final

from gateway.tlog.errors import TlogError
from gateway.tlog.lexis import LARGEST_NUMBER

LARGEST_HEADER: Final = 2 + 0xFFFF + 8 + 8 + 2 + 0xFFFF
"""Bytes of what comes before the packages, at most."""
_LENGTH: Final = 2
_NUMBER: Final = 8


class MalformedUpload(TlogError):
    """It is not what `add-entries` takes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Which entries of a log follow, and up to which size the mirror is to have them."""

    origin: str
    start: int
    end: int
    ticket: bytes = b""

    def format(self) -> bytes:
        """The request's bytes before its packages."""
        origin = self.origin.encode()
        return b"".join(
            (
                len(origin).to_bytes(_LENGTH), origin, self.start.to_bytes(_NUMBER), self.end.to_bytes(_NUMBER),
                len(self.ticket).to_bytes(_LENGTH), self.ticket,
            )
        )  # fmt: skip

    @classmethod
    def parse(cls, content: bytes) -> "Upload":
        """What a request asks; raises `MalformedUpload`. Packages behind it are not looked at."""
        origin, rest = _prefixed(content, "origin")
        if len(rest) < 2 * _NUMBER:
            raise MalformedUpload("the request ends before it says which entries follow")
        start, end = int.from_bytes(rest[:_NUMBER]), int.from_bytes(rest[_NUMBER : 2 * _NUMBER])
        ticket, _ = _prefixed(rest[2 * _NUMBER :], "ticket")
        if not start <= end <= LARGEST_NUMBER:
            raise MalformedUpload(f"the entries from {start} to {end} are not part of a log")
        try:
            return cls(origin.decode(), start, end, ticket)
        except UnicodeDecodeError:
            raise MalformedUpload("the origin of the request is not UTF-8 text") from None


def mirror_info(size: int, following: int) -> bytes:
    """What a mirror says that needs another upload (`text/x.tlog.mirror-info`); its ticket is empty."""
    return b"%d\n%d\n\n" % (size, following)


def _prefixed(content: bytes, what: str) -> tuple[bytes, bytes]:
    """Bytes behind their length, and what follows."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH])
    if len(content) < max(end, _LENGTH):
        raise MalformedUpload(f"the request ends within its {what}")
    return content[_LENGTH:end], content[end:]
