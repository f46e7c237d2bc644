# SPDX-License-Identifier: Apache-2.0
"""Sealed blobs as objects in S3, or in what speaks it.

A blob goes up in parts, and is an object once the last of them is confirmed: a put that breaks off is aborted, and what
a crash leaves of one is seen by nobody. Have the bucket's life cycle remove incomplete uploads. Credentials, region and
endpoint come from the environment, by the names that AWS's own programs read.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from obstore import delete, get_range, head, put
from obstore import list as listed
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from gateway.services.blobstores import NAME, BlobMissing, BlobStoreFailed, StoredBlob

Result = TypeVar("Result")
_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9._/-]+))?")
_PART: Final = 8 << 20
_AT_ONCE: Final = 2
"""Parts on their way at once; each is in memory meanwhile."""
_LONGEST: Final = 300


class BlobObjects:
    """Implements `services.blobstores.BlobStore` in a bucket."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, url: str) -> "BlobObjects":
        """The store behind `s3://BUCKET` or `s3://BUCKET/PREFIX`; nothing is asked of it yet. Raises `ValueError`."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(f"{url!r} is not s3://BUCKET or s3://BUCKET/PREFIX")
        return cls(S3Store(found["bucket"], prefix=found["prefix"], client_options={"allow_http": True}))

    def recover(self) -> None:
        """Nothing is left here that could be seen."""

    def forget_unfinished(self, before: float, most: int) -> int:
        """Nothing: parts of uploads that broke off are seen by nobody, and end by the bucket's life cycle."""
        return 0

    def put(self, name: str, pieces: Iterable[bytes]) -> int:
        """Keep a blob and return its size."""
        counted = _Counted(pieces)
        try:
            _asked(lambda: put(self._store, _key(name), counted, chunk_size=_PART, max_concurrency=_AT_ONCE))
        except BlobStoreFailed:
            if counted.broken is not None:
                raise counted.broken from None
            raise
        if counted.broken is not None:
            raise counted.broken
        return counted.size

    def head(self, name: str) -> StoredBlob | None:
        """What is known of a blob."""
        try:
            found = _asked(lambda: head(self._store, _key(name)))
        except FileNotFoundError:
            return None
        return _stored(name, found)

    def read(self, name: str, start: int, length: int) -> bytes:
        """So many bytes from a place on."""
        try:
            return bytes(_asked(lambda: get_range(self._store, _key(name), start=start, length=length)))
        except FileNotFoundError:
            raise BlobMissing(f"the blob {name} is not in the store") from None

    def list(self) -> Iterator[StoredBlob]:
        """Every blob."""
        pages = iter(listed(self._store))
        while (page := _asked(lambda: next(pages, None))) is not None:
            for each in page:
                if NAME.fullmatch(name := each["path"].rpartition("/")[2]) is not None:
                    yield _stored(name, each)

    def remove(self, name: str) -> None:
        """Remove a blob for good."""
        try:
            _asked(lambda: delete(self._store, _key(name)))
        except FileNotFoundError:
            return


class _Counted:
    """Pieces that are counted as they go; the library says of those that break off that they did, but not why."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.size = 0
        self.broken: BaseException | None = None
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self.size += len(piece)
                yield bytes(piece)
        except BaseException as exc:
            self.broken = exc
            raise


def _key(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise ValueError("a blob's name is 64 hexadecimal digits")
    return f"{name[:2]}/{name}"


def _stored(name: str, said: Any) -> StoredBlob:
    return StoredBlob(name, said["size"], said["last_modified"].timestamp())


def _asked(ask: Callable[[], Result]) -> Result:
    """The store's answer; raises `FileNotFoundError` and `BlobStoreFailed`, whatever the library calls it."""
    try:
        return ask()
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as exc:
        first = " ".join(str(exc).split())[:_LONGEST]
        raise BlobStoreFailed(f"the blob store failed: {first}") from exc
