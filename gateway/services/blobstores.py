# SPDX-License-Identifier: Apache-2.0
"""Where sealed blobs are kept, and what is known of each; `publications` uses them.

What is in a blob store is sealed: a store needs no secrecy, and its word is not taken for anything, since every byte is
authenticated when it is opened.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.services.failures import Category, PortError

NAME: Final = re.compile(r"[0-9a-f]{64}")
"""What a blob is called: its id in hex."""


class BlobMissing(PortError):
    """A blob that should be in the store is not there."""

    code = "blob-missing"
    category = Category.FAULT


class BlobStoreFailed(PortError):
    """The blob store cannot be reached, or refuses."""

    code = "blob-store-failed"
    category = Category.UNAVAILABLE
    retryable = True


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that is in a store."""

    name: str
    size: int
    at: float
    """When it was put there, seconds since 1970."""


class BlobStore(Protocol):
    """Keeps blobs by name; thread-safe. Raises `BlobStoreFailed`, `StorageFull` or `StorageFailed` where it cannot."""

    def put(self, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a blob and return its size; when this returns, all of it would survive a power cut.

        Before that nobody sees any of it: where the pieces break off, or the process dies, there is no such blob.
        """
        ...

    def head(self, name: str) -> StoredBlob | None:
        """What is known of a blob; `None` where there is none of that name."""
        ...

    def read(self, name: str, start: int, length: int) -> bytes:
        """So many bytes from a place on; fewer only where the blob ends. Raises `BlobMissing`."""
        ...

    def list(self) -> Iterator[StoredBlob]:
        """Every blob that can be seen, in no order."""
        ...

    def remove(self, name: str) -> None:
        """Remove a blob for good; one that is not there is none the less removed."""
        ...

    def forget_unfinished(self, before: float, most: int) -> int:
        """Remove what a put that broke off left, of those begun before a time; how many, `most` at the most."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """The bytes of a committed version, or of a selection from one, as its owner published them."""

    blob_id: bytes
    root: str
    """The version's root, in hex; of a selection, that one's."""
    dataset: str
    number: int
    media_type: str
    size: int
    """Bytes of the file before it was sealed."""
    digest: str
    """The SHA-256 of that file, in hex."""
    wrapped: bytes
    """The blob's data key, under the organisation's key-encryption key."""
    at: float
    """When it was published, seconds since 1970."""
    selection: str | None = None
    """The name of the selection whose records it has; None where it has all of the version."""

    @property
    def name(self) -> str:
        """What its blob is called in the store."""
        return self.blob_id.hex()

    @property
    def artifact(self) -> str:
        """The reference to what was published."""
        whole = f"{self.dataset}:{self.number}"
        return f"dataset-version:{whole}" if self.selection is None else f"selection:{whole}:{self.selection}"


class Publications(Protocol):
    """What was published, with its keys; thread-safe. What returned would survive a power cut."""

    def add(self, publication: Publication) -> None:
        """Keep a publication; from then on it is the one of its artifact and root."""
        ...

    def of(self, artifact: str, root: str) -> Publication | None:
        """The last publication of a version or a selection with this root; both, since one root may be of several."""
        ...

    def find(self, blob_id: bytes) -> Publication | None:
        """The publication with this blob."""
        ...

    def all(self) -> Sequence[Publication]:
        """Every publication, the oldest first."""
        ...

    def rewrap(self, wrapped: Sequence[tuple[bytes, bytes]]) -> None:
        """Give publications their data keys under another key-encryption key, all of them or none.

        Args:
            wrapped: blob ids, each with its new wrapped key.
        """
        ...

    def forget(self, blob_id: bytes) -> None:
        """Remove a publication and its key, without which its blob never opens again."""
        ...


class Opened:
    """A blob of a store as `sealing` reads it."""

    def __init__(self, store: BlobStore, name: str) -> None:
        """Look it up; raises `BlobMissing`."""
        found = store.head(name)
        if found is None:
            raise BlobMissing(f"the blob {name} is not in the store; restore it from a backup, or publish again")
        self.size = found.size
        self._store = store
        self._name = name

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on; fewer only where the blob ends."""
        return self._store.read(self._name, start, length)
