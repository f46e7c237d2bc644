# SPDX-License-Identifier: Apache-2.0
"""Files of records on their way to a gateway: sent in pieces, and again from the beginning when it must be."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from pedigree.files import folder_records, refuse_change
from pedigree.folders import Identity, identity_of

_PIECE = 1 << 18
_LARGE = 1 << 20
_SLOWEST = 1 << 20
_JSON_LINES = "application/jsonl"
_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording has come."""

    stage: str
    """`hashing` (the files of a folder), `sending`, then what the gateway says: `reading` (and hashing records), then
    `recording` (the transaction). Of a bundle `receiving` and `checking`, and `comparing` of a copy with it."""
    done: int = 0
    """Bytes that were sent or received, or that were read."""
    total: int = 0
    """The size of the file in bytes; 0 where it is not known yet."""
    records: int = 0
    """Records that were hashed."""
    operation: str | None = None
    """The gateway's operation, once it has accepted the file: `GET /v1/operations/{operation}`."""

    def updated(self, operation: dict[str, Any]) -> "Progress":
        """The progress that an operation tells of; `recording` where the gateway says nothing more exact."""
        said = operation.get("progress") or {}
        return replace(
            self,
            stage=str(said.get("stage", "recording")),
            done=int(said.get("bytes_read", self.total)),
            total=int(said.get("bytes") or self.total),
            records=int(said.get("records", 0)),
        )


Watcher = Callable[[Progress], None]


def _ignore(_: Progress) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of records, or its bytes."""

    source: Path | bytes
    media_type: str
    size: int
    """Bytes."""
    watcher: Watcher = _ignore
    identity: Identity | None = None
    """What a file was when it was chosen; every attempt to send it sends the same bytes, or none."""

    @classmethod
    def of(cls, source: Path | str | bytes, media_type: str | None, watcher: Watcher | None = None) -> "Upload":
        """A file, by the ending of its name unless a media type is given; a folder; or bytes, CSV by default.

        Raises `ValueError` and `OSError` for what cannot be sent.
        """
        watcher = watcher or _ignore
        if isinstance(source, bytes):
            return cls(source, media_type or "text/csv", len(source), watcher)
        source = Path(source)
        if source.is_dir():
            return cls._of_folder(source, media_type, watcher)
        found = media_type or _MEDIA_TYPES.get(source.suffix.lower())
        if found is None:
            raise ValueError(f"{source}: its name must end with {', '.join(_MEDIA_TYPES)}, or media_type be given")
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{source} is not a plain file; it could not be sent again after a lost connection")
        with source.open("rb") as file:  # what cannot be read is said before anything is sent
            identity = identity_of(os.fstat(file.fileno()))
        return cls(source, found, identity[2], watcher, identity)

    @classmethod
    def _of_folder(cls, folder: Path, media_type: str | None, watcher: Watcher) -> "Upload":
        if media_type not in (None, _JSON_LINES):
            raise ValueError(f"{folder} is a folder: its files are sent as {_JSON_LINES}, not as {media_type}")
        lines = folder_records(folder, lambda done, total, files: watcher(Progress("hashing", done, total, files)))
        return cls(lines, _JSON_LINES, len(lines), watcher)

    @property
    def is_large(self) -> bool:
        """Whether the gateway may take longer over it than a connection should be held open."""
        return self.size > _LARGE

    @property
    def patience(self) -> float:
        """Seconds to wait for it beside those for any call: a mebibyte a second over the way and in the gateway."""
        return self.size / _SLOWEST

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of its body."""
        return {"Content-Type": self.media_type, "Content-Length": str(self.size)}

    def pieces(self) -> Iterator[bytes]:
        """Its bytes from the beginning; the watcher hears of each piece that was sent.

        Raises `ValueError` when the file is not what it was, and then before its last piece: no gateway takes what it
        was sent for the whole.
        """
        sent = 0
        for piece in self._of_bytes(self.source) if isinstance(self.source, bytes) else self._of_file(self.source):
            yield piece
            sent += len(piece)
            self.watcher(Progress("sending", sent, self.size))

    def _of_bytes(self, source: bytes) -> Iterator[bytes]:
        view = memoryview(source)
        yield from (bytes(view[at : at + _PIECE]) for at in range(0, len(view), _PIECE))

    def _of_file(self, path: Path) -> Iterator[bytes]:
        left = self.size
        with path.open("rb") as file:
            self._refuse_change(path, file)
            while piece := file.read(min(_PIECE, left)):
                left -= len(piece)
                if not left:
                    self._refuse_change(path, file)
                yield piece
            if left:
                raise ValueError(f"{path} was changed while it was sent")

    def _refuse_change(self, path: Path, file: BinaryIO) -> None:
        if self.identity is not None:
            refuse_change(path, file, self.identity, "sent")
