# SPDX-License-Identifier: Apache-2.0
"""Seals bytes chunk by chunk, and opens any range of them; what does not authenticate is never given out.

The chunks are a STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, CRYPTO 2015): a chunk opens only in its own place, in its own blob, and as the last one
only where it is the last one.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.blobs import HEADER, KEY, TAG, Header, key_id_of
from gateway.sealing.errors import DamagedBlob, MalformedBlob, MalformedKey, WrongKey, WrongLength

_TOGETHER: Final = 16
"""Chunks that are read from a source at once."""


class Source(Protocol):
    """A sealed blob, wherever it is kept."""

    @property
    def size(self) -> int:
        """Its bytes, header and tags among them."""

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on; fewer only where the blob ends."""


class Held:
    """A sealed blob in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on."""
        return self._content[start : start + length]


def seal(key: bytes, header: Header, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The sealed blob, piece by piece: the header, then each chunk.

    Args:
        key: 32 bytes that seal nothing else.
        pieces: what is to be sealed, cut anywhere.

    Raises `WrongLength` where it has another size than the header says, before anything is given out that would open
    as the end of it.
    """
    cipher = _cipher(key, header)
    said = header.encode()
    yield said
    found = 0
    for number, (chunk, last) in enumerate(_chunks(pieces, header.chunk)):
        found += len(chunk)
        if header.size is not None and (found > header.size or (last and found < header.size)):
            raise WrongLength(f"{found} bytes came to be sealed where the header says {header.size}")
        yield cipher.encrypt(header.nonce(number, last=last), chunk, said)


class Blob:
    """A sealed blob and the key that opens it."""

    def __init__(self, key: bytes, source: Source) -> None:
        """Read the header, and compare the blob's length with it; raises `MalformedBlob`, `WrongKey` or `DamagedBlob`.

        What the header says is believed of no blob before one of its chunks was opened.
        """
        self.header = Header.parse(source.read(0, HEADER))
        self._said = self.header.encode()
        self._cipher = _cipher(key, self.header)
        self._source = source
        self.size = self._measured()
        """Bytes that are sealed in it."""
        self._last = self.header.chunks_of(self.size) - 1
        if self.header.size is None:
            self._open(self._last, source.read(self.header.place(self._last), self.header.chunk + TAG))

    def read(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """What was sealed, `length` bytes from place `start` on, piece by piece; only chunks in the range are opened.

        A range from 0 opens a chunk even where nothing was sealed. Raises `WrongLength` for a range that is not there,
        and `DamagedBlob` at the first chunk that is not what was sealed in its place, once all before it is given out.
        """
        stop = self.size if length is None else start + length
        if not 0 <= start <= stop <= self.size:
            raise WrongLength(f"bytes {start} to {stop} are asked for of {self.size}")
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        size = self.header.chunk
        first = min(start // size, self._last)
        final = first if stop == start else (stop - 1) // size
        for group in range(first, final + 1, _TOGETHER):
            count = min(_TOGETHER, final + 1 - group)
            sealed = memoryview(self._source.read(self.header.place(group), count * (size + TAG)))
            for number in range(group, group + count):
                at = (number - group) * (size + TAG)
                opened = self._open(number, sealed[at : at + size + TAG])
                before = number * size
                if start > before or stop < before + len(opened):
                    opened = opened[max(0, start - before) : stop - before]
                if opened:
                    yield opened

    def _open(self, number: int, sealed: bytes | memoryview) -> bytes:
        last = number == self._last
        try:
            return self._cipher.decrypt(self.header.nonce(number, last=last), sealed, self._said)
        except (InvalidTag, ValueError):
            raise DamagedBlob(self._why(number, sealed, last=last), number) from None

    def _why(self, number: int, sealed: bytes | memoryview, *, last: bool) -> str:
        """What is wrong with a chunk that does not open in its place."""
        try:
            self._cipher.decrypt(self.header.nonce(number, last=not last), sealed, self._said)
        except (InvalidTag, ValueError):
            return f"chunk {number} is not what was sealed there: it was altered, moved, or is another blob's"
        if last:
            return f"the blob ends after chunk {number}, which is not its last: it was cut"
        return f"chunk {number} is the last that was sealed, and others follow on it"

    def _measured(self) -> int:
        """How many bytes are sealed in it, by its length; raises `DamagedBlob` where the header says otherwise."""
        said = self.header.size
        if said is None:
            try:
                return self.header.opened_size(self._source.size)
            except MalformedBlob as exc:
                chunk = max(0, self._source.size - HEADER) // (self.header.chunk + TAG)
                raise DamagedBlob(f"the blob ends within chunk {chunk}: {exc}", chunk) from None
        whole = self.header.sealed_size(said)
        if self._source.size < whole:
            chunk = max(0, self._source.size - HEADER) // (self.header.chunk + TAG)
            raise DamagedBlob(f"the blob ends within chunk {chunk}: {self._source.size} of {whole} bytes", chunk)
        if self._source.size > whole:
            chunk = self.header.chunks_of(said)
            raise DamagedBlob(f"bytes follow on the last chunk, in the place of chunk {chunk}", chunk)
        return said


def _cipher(key: bytes, header: Header) -> AESGCM:
    if len(key) != KEY:
        raise MalformedKey(f"a data key has {KEY} bytes, not {len(key)}")
    if key_id_of(key) != header.key_id:
        raise WrongKey(f"the blob was sealed under the key {header.key_id.hex()}, and this is {key_id_of(key).hex()}")
    return AESGCM(key)


def _chunks(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes | memoryview, bool]]:
    """The pieces cut into chunks, and whether each is the last; one empty chunk where there is nothing."""
    held = b""
    for piece in pieces:
        joined = memoryview(held + piece if held else piece)
        # What may be the last chunk waits for what follows.
        ready = max(0, len(joined) - 1) // size * size
        for at in range(0, ready, size):
            yield joined[at : at + size], False
        held = bytes(joined[ready:])
    yield held, True
