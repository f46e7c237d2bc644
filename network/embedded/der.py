# SPDX-License-Identifier: Apache-2.0
"""Certificates changed at the level of their bytes, for what the X.509 library does not offer (RFC 5280, DER).

The certificates were read by the library before: their outer form is known to be good.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

__all__ = ["with_signature", "without_extensions"]

_SEQUENCE, _BIT_STRING, _EXTENSIONS = 0x30, 0x03, 0xA3


class _Element(NamedTuple):
    tag: int
    content: bytes
    whole: bytes


def with_signature(der: bytes, signature: bytes) -> bytes:
    """Replace the signature of a certificate: SEQUENCE { tbsCertificate, algorithm, BIT STRING signature }."""
    tbs, algorithm, _ = _elements(_only(der).content)
    return _wrap(_SEQUENCE, tbs.whole + algorithm.whole + _wrap(_BIT_STRING, b"\x00" + signature))


def without_extensions(der: bytes, dotted: Collection[str]) -> bytes:
    """Leave out the extensions with these object identifiers; the signature is then of another certificate."""
    unwanted = {_object_identifier(each) for each in dotted}
    tbs, algorithm, signature = _elements(_only(der).content)
    fields = b"".join(
        _kept(element.content, unwanted) if element.tag == _EXTENSIONS else element.whole
        for element in _elements(tbs.content)
    )
    return _wrap(_SEQUENCE, _wrap(_SEQUENCE, fields) + algorithm.whole + signature.whole)


def _kept(content: bytes, unwanted: Collection[bytes]) -> bytes:
    """The field of extensions without the unwanted ones; nothing when none is left, for it may not be empty."""
    extensions = _elements(_only(content).content)
    kept = b"".join(each.whole for each in extensions if next(_walk(each.content)).content not in unwanted)
    return _wrap(_EXTENSIONS, _wrap(_SEQUENCE, kept)) if kept else b""


def _only(der: bytes) -> _Element:
    return next(_walk(der))


def _elements(der: bytes) -> list[_Element]:
    return list(_walk(der))


def _walk(der: bytes) -> Iterator[_Element]:
    offset = 0
    while offset < len(der):
        length, start = der[offset + 1], offset + 2
        if length & 0x80:
            octets = length & 0x7F
            length, start = int.from_bytes(der[start : start + octets], "big"), start + octets
        yield _Element(der[offset], der[start : start + length], der[offset : start + length])
        offset = start + length


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _object_identifier(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    encoded = bytearray()
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | (number & 0x7F))
        encoded += bytes(reversed(septets))
    return bytes(encoded)
