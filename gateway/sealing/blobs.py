# SPDX-License-Identifier: Apache-2.0
"""The form of a sealed blob: a header of 80 bytes, then chunks, each with its tag (docs/sealing.md).

    header = magic (8) | version (1) | suite (1) | zero (2) | chunk size (4) | size (8) | blob id (32) | key id (16)
             | prefix (7) | zero (1)

Numbers are big-endian and unsigned. `size` is that of what was sealed, 2^64 - 1 where it was not known.
"""

import hmac
import secrets
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.sealing.errors import MalformedBlob, WrongLength

MAGIC: Final = b"PEDBLOB\0"
VERSION: Final = 1
AES_256_GCM: Final = 1
"""The one suite: AES-256-GCM in chunks, STREAM for their order."""
KEY: Final = 32
TAG: Final = 16
CHUNK: Final = 64 * 1024
HEADER: Final = 80
SMALLEST_CHUNK: Final = 16
LARGEST_CHUNK: Final = 1 << 20
MOST_CHUNKS: Final = 1 << 32
BLOB_ID, KEY_ID, PREFIX = 32, 16, 7
_UNKNOWN: Final = (1 << 64) - 1
_FORM: Final = struct.Struct(">8sBB2sIQ32s16s7sB")
_DERIVED_LABEL: Final = b"pedigree-derived-key/v1\0"
_KEY_LABEL: Final = b"pedigree-data-key-id/v1\0"


def key_id_of(key: bytes) -> bytes:
    """What names a data key, 16 bytes: it says nothing about the key, and no other key has it."""
    return sha256(_KEY_LABEL + key).digest()[:KEY_ID]


def derived_key(key: bytes, blob_id: bytes) -> bytes:
    """The key of a blob that goes with another one: who has the data key of that has it, and it seals nothing else."""
    return hmac.digest(key, _DERIVED_LABEL + blob_id, "sha256")


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the chunks; all of it is authenticated with each of them."""

    blob_id: bytes
    key_id: bytes
    prefix: bytes
    """The beginning of every nonce, drawn anew for every blob."""
    size: int | None = None
    """Bytes that were sealed; `None` where nobody knew when sealing began."""
    chunk: int = CHUNK
    """Bytes of each chunk before it was sealed; the last one may have fewer."""

    @classmethod
    def new(cls, key: bytes, *, blob_id: bytes | None = None, size: int | None = None) -> "Header":
        """The header of a blob that is about to be sealed under a key of its own."""
        made = secrets.token_bytes(BLOB_ID) if blob_id is None else blob_id
        return cls(made, key_id_of(key), secrets.token_bytes(PREFIX), size)

    @classmethod
    def parse(cls, content: bytes) -> "Header":
        """Read the first 80 bytes of a blob; ``Header.parse(h.encode()) == h``. Raises `MalformedBlob`."""
        if len(content) < HEADER:
            raise MalformedBlob(f"it has {len(content)} bytes, and the header of a sealed blob alone has {HEADER}")
        magic, version, suite, zeros, chunk, size, blob_id, key_id, prefix, zero = _FORM.unpack_from(content)
        if magic != MAGIC:
            raise MalformedBlob("it does not begin as a sealed blob does")
        if version != VERSION or suite != AES_256_GCM:
            raise MalformedBlob(f"its form is version {version} with suite {suite}; known is version 1 with suite 1")
        if zeros != b"\0\0" or zero != 0:
            raise MalformedBlob("bytes of its header that are to be zero are not")
        if not SMALLEST_CHUNK <= chunk <= LARGEST_CHUNK:
            raise MalformedBlob(f"its chunks have {chunk} bytes; they have {SMALLEST_CHUNK} to {LARGEST_CHUNK}")
        found = cls(blob_id, key_id, prefix, None if size == _UNKNOWN else size, chunk)
        if found.size is not None and found.chunks_of(found.size) > MOST_CHUNKS:
            raise MalformedBlob(f"its size, {found.size} bytes, is more than {MOST_CHUNKS} chunks hold")
        return found

    def encode(self) -> bytes:
        """The 80 bytes."""
        size = _UNKNOWN if self.size is None else self.size
        return _FORM.pack(
            MAGIC, VERSION, AES_256_GCM, b"\0\0", self.chunk, size, self.blob_id, self.key_id, self.prefix, 0
        )

    def chunks_of(self, size: int) -> int:
        """How many chunks so many bytes have: one for none at all."""
        return max(1, -(-size // self.chunk))

    def sealed_size(self, size: int) -> int:
        """Bytes of the whole blob when so many bytes are sealed in it."""
        return HEADER + size + TAG * self.chunks_of(size)

    def opened_size(self, sealed: int) -> int:
        """Bytes that are sealed in a blob of so many bytes; raises `MalformedBlob` where no blob has so many."""
        chunks = max(1, -(-(sealed - HEADER) // (self.chunk + TAG)))
        size = sealed - HEADER - TAG * chunks
        if size < 0 or self.sealed_size(size) != sealed or chunks > MOST_CHUNKS:
            raise MalformedBlob(f"{sealed} bytes do not divide into chunks with their tags")
        return size

    def place(self, number: int) -> int:
        """Where chunk `number` begins in the blob."""
        return HEADER + number * (self.chunk + TAG)

    def nonce(self, number: int, *, last: bool) -> bytes:
        """The nonce of a chunk: prefix (7), number (4), whether it is the last one (1)."""
        if number >= MOST_CHUNKS:
            raise WrongLength(f"a blob has at most {MOST_CHUNKS} chunks")
        return self.prefix + struct.pack(">IB", number, last)
