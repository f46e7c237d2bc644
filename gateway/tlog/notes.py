# SPDX-License-Identifier: Apache-2.0
"""Signed notes (c2sp.org/signed-note): text, an empty line, and a line for each signature.

A note's text ends with a newline. A signature line is::

    em dash (U+2014) ‖ space ‖ key name ‖ space ‖ base64(key id (4) ‖ signature) ‖ newline

A note is UTF-8 and has no control character but newlines. Which bytes a key signs is the matter of `keys`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.tlog.errors import MalformedNote, shown
from gateway.tlog.lexis import decode_base64, encode_base64

LARGEST: Final = 1 << 20
"""Bytes of a note: 64 signatures of ML-DSA-44 are a third of it."""
MOST_SIGNATURES: Final = 64
LONGEST_NAME: Final = 255
"""Bytes of a key's name: what an ML-DSA-44 cosignature can commit to."""
KEY_ID: Final = 4

_MARK: Final = "— ".encode()
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
# Control characters, those of Unicode's property White_Space, which the specification calls spaces, and the plus sign;
# half of a surrogate pair cannot be written in UTF-8.
_NOT_IN_NAMES: Final = re.compile("[\x00-\x20+\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]")

Key = tuple[str, bytes]
"""What a signature line says of its key: its name and its id of four bytes."""


class NoteSigner(Protocol):
    """What can sign the text of a note."""

    @property
    def key(self) -> Key:
        """The name and the id that its signature lines bear."""
        ...

    def sign(self, text: bytes) -> bytes:
        """The signature as it follows the key's id in a line."""
        ...


class NoteVerifier(Protocol):
    """What can check a signature over the text of a note."""

    @property
    def key(self) -> Key:
        """The name and the id of the signature lines that it can check."""
        ...

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """The time that the signature states, in seconds since 1970, if it states any; raises `BadSignature`."""
        ...


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line."""

    name: str
    key_id: bytes
    value: bytes
    """What follows the key's id: of a cosignature, the time before the signature."""

    @property
    def key(self) -> Key:
        """The name and the id of the key that is said to have signed."""
        return self.name, self.key_id

    def format(self) -> bytes:
        """The line, with its newline."""
        return b"%s%s %s\n" % (_MARK, self.name.encode(), encode_base64(self.key_id + self.value))


@dataclass(frozen=True, slots=True)
class Note:
    """A text and what is said to be its signatures. Nothing of it may be believed before `verify`."""

    text: bytes
    """With its last newline, and without the empty line after it."""
    signatures: tuple[NoteSignature, ...]

    def format(self) -> bytes:
        """The note's bytes."""
        return self.text + b"\n" + b"".join([each.format() for each in self.signatures])

    def with_signatures(self, *added: NoteSignature) -> "Note":
        """The note with further lines after those that it has."""
        return Note(self.text, self.signatures + added)


def parse(text: bytes) -> Note:
    """The note that these bytes are; raises `MalformedNote`."""
    if len(text) > LARGEST:
        raise MalformedNote(f"the note has {len(text)} bytes, and at most {LARGEST} are read")
    if not text.endswith(b"\n"):
        raise MalformedNote("the note does not end with a newline: something is missing at its end")
    refuse_characters(text)
    end = text.rfind(b"\n\n")
    if end < 0:
        raise MalformedNote("the note has no empty line between its text and its signatures")
    if end + 2 == len(text):
        raise MalformedNote("the note has no signature")
    return Note(text[: end + 1], parse_signatures(text[end + 2 :]))


def parse_signatures(lines: bytes) -> tuple[NoteSignature, ...]:
    """Signature lines, each with its newline, as a witness answers them; raises `MalformedNote`."""
    if not lines.endswith(b"\n"):
        raise MalformedNote("the last signature line does not end with a newline")
    if lines.count(b"\n") > MOST_SIGNATURES:
        raise MalformedNote(f"the note has more than {MOST_SIGNATURES} signature lines")
    return tuple([_signature(line) for line in lines[:-1].split(b"\n")])


def sign(text: bytes, *signers: NoteSigner) -> bytes:
    """The note of `text` with a signature line of each signer, in their order.

    Raises `ValueError` for a text that a note cannot have.
    """
    return Note(text, tuple([signature_of(text, each) for each in signers])).format()


def signature_of(text: bytes, signer: NoteSigner) -> NoteSignature:
    """A signer's line for a note of `text`; raises `ValueError` for a text that a note cannot have."""
    if not text.endswith(b"\n"):
        raise ValueError("the text of a note ends with a newline")
    try:
        refuse_characters(text)
    except MalformedNote as exc:
        raise ValueError(str(exc)) from None
    name, key_id = signer.key
    return NoteSignature(name, key_id, signer.sign(text))


def verify(note: Note, known: Mapping[Key, NoteVerifier]) -> dict[Key, int | None]:
    """The known keys that signed the note, each with the time that it states; empty where none of them did.

    Lines of other keys are ignored. Raises `BadSignature` where any line of a known key is not that key's signature:
    somebody altered the note, or passes another signature off as that key's.
    """
    found: dict[Key, int | None] = {}
    for each in note.signatures:
        verifier = known.get(each.key)
        if verifier is not None:
            stated = verifier.verify(note.text, each.value)
            found.setdefault(each.key, stated)
    return found


def refuse_characters(text: bytes) -> None:
    """Raise `MalformedNote` where `text` is not UTF-8 or has control characters."""
    control = _CONTROL.search(text)
    if control is not None:
        raise MalformedNote(f"the note has the control character U+{control[0][0]:04X}")
    try:
        text.decode()
    except UnicodeDecodeError:
        raise MalformedNote("the note is not UTF-8 text") from None


def is_name(name: str) -> bool:
    """Whether a key can be called so: 1 to 255 bytes without spaces, plus signs and control characters."""
    return _NOT_IN_NAMES.search(name) is None and 0 < len(name.encode()) <= LONGEST_NAME


def _signature(line: bytes) -> NoteSignature:
    if not line.startswith(_MARK):
        raise MalformedNote(f"{shown(line)} is not a signature line, which begins with a dash (U+2014) and a space")
    try:
        name, separator, encoded = line[len(_MARK) :].decode().partition(" ")
    except UnicodeDecodeError:
        raise MalformedNote("a signature line is not UTF-8 text") from None
    if not separator or not is_name(name):
        raise MalformedNote(f"{shown(line)} is not a signature line: it names no key")
    value = decode_base64(encoded.encode(), lambda: f"the signature of {shown(name)}", MalformedNote)
    if len(value) <= KEY_ID:
        raise MalformedNote(f"the signature of {shown(name)} is too short")
    return NoteSignature(name, value[:KEY_ID], value[KEY_ID:])
