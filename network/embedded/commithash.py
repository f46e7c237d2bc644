# SPDX-License-Identifier: Apache-2.0
"""The commit hash that chains what every block changed (rule O-18)."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import NamedTuple

from network.embedded.entries import Version


class Write(NamedTuple):
    """One applied write: a public key, or in a collection the hash of a private key; value None means deleted."""

    namespace: str
    collection: str
    """Empty for public keys, which sorts them before every collection."""
    key: bytes
    value: bytes | None
    version: Version


def commit_hash(flags: bytes, writes: Iterable[Write], previous: bytes) -> bytes:
    """The hash of a block with these validation codes and applied writes after a block with hash `previous`."""
    return sha256(_uvarint(len(flags)) + flags + update_bytes(writes) + previous).digest()


def update_bytes(writes: Iterable[Write]) -> bytes:
    """The deterministic list of writes; the channel configuration (namespace "") is left out."""
    ordered = sorted(
        (write for write in writes if write.namespace),
        key=lambda write: (write.namespace.encode(), write.collection.encode(), write.key),
    )
    return b"".join(_fields(ordered))


def _fields(ordered: list[Write]) -> Iterator[bytes]:
    namespace = collection = ""
    for write in ordered:
        new = write.namespace != namespace
        body = b"".join(
            chain(
                _bytes(1, write.namespace.encode() if new else b""),
                _bytes(2, write.collection.encode() if new or write.collection != collection else b""),
                _bytes(3, write.key),
                (b"\x20\x01",) if write.value is None else (),
                _bytes(5, write.value or b""),
                _bytes(6, _ordered(write.version[0]) + _ordered(write.version[1])),
            )
        )
        namespace, collection = write.namespace, write.collection
        yield b"\x0a" + _uvarint(len(body)) + body


def _bytes(number: int, value: bytes) -> tuple[bytes, ...]:
    return (_uvarint(number << 3 | 2), _uvarint(len(value)), value) if value else ()


def _uvarint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _ordered(number: int) -> bytes:
    """Length and big-endian bytes without leading zeros: bytewise order is numeric order."""
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes((len(body),)) + body
