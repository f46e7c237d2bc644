# SPDX-License-Identifier: Apache-2.0
"""Content by digest: files below `aa/bb/<sha256>`, written atomically and checked when read."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gateway.services.ports import Damaged, PortError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """A content-addressed folder; a stored blob never changes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, chunks: Iterable[bytes]) -> str:
        """Store the bytes and return their SHA-256 in lowercase hex; storing the same bytes twice is harmless.

        When this returns the blob would survive a power cut: file and folder entry are synchronised.
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        descriptor, temporary = tempfile.mkstemp(dir=self._root, prefix=".incoming-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            name = digest.hexdigest()
            target = self._path(name)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(temporary).replace(target)
            _sync_folder(target.parent)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
        return name

    def get(self, digest: str) -> bytes | None:
        """The bytes, or `None` when they are not here; raises `Damaged` when they changed on disk."""
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(content).hexdigest() != digest:
            raise Damaged(f"the stored content of {digest} was altered", digest=digest)
        return content

    def _path(self, digest: str) -> Path:
        if _DIGEST.fullmatch(digest) is None:
            raise PortError("a digest is 64 lowercase hexadecimal digits", digest=digest[:80])
        return self._root / digest[:2] / digest[2:4] / digest


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
