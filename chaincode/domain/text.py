# SPDX-License-Identifier: Apache-2.0
"""Free text: what people and programs may write into a record, so that everybody who reads it sees the same.

What cannot be seen can hide something, and what turns the direction of text can show another order than is recorded.
Refused are therefore controls, characters that are invisible or change the direction (most of Unicode's Cf, the line
and paragraph separators, fillers, the blank of Braille), tag characters, private use, and what Unicode does not
assign. Characters that join or vary their neighbours are needed to write Persian, the scripts of India and emoji:
these are taken where they have such neighbours, as `_MISPLACED` says, and nowhere else.
"""

import re
import unicodedata
from typing import Final, Self

from chaincode.domain.errors import InvalidField, NotNormalised
from chaincode.domain.unassigned import RANGES, VERSION

MAX_TEXT: Final = 4_000
"""The longest text, in code points."""
MAX_SETTING: Final = 65_536
"""The longest setting of a run, in code points."""

# Blocks of the scripts whose letters are joined or parted by U+200C and U+200D: Arabic, Syriac and their like, the
# Brahmic scripts, Khmer and Mongolian.
_JOINED: Final = (
    r"\u0600-\u0605\u0610-\u061a\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff\u1820-\u18aa"
    r"\u1a20-\u1aaf\u1b00-\u1bff\ua8e0-\ua8ff\ua980-\ua9ff\uaa60-\uaa7f\ufb50-\ufdff\ufe70-\ufefc"
    r"\U00010a00-\U00010aff\U00011000-\U00011fff"
)
# Symbols that are shown as emoji or as text, and are joined to others by U+200D.
_EMOJI: Final = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_MONGOLIAN: Final = r"\u1820-\u18aa"

_MISPLACED: Final = "|".join(
    (
        # The non-joiner stands between two characters of such a script.
        rf"(?<![{_JOINED}])\u200c|\u200c(?![{_JOINED}])",
        # The joiner too, or between two emoji.
        rf"\u200d(?!(?<=[{_JOINED}]\u200d)[{_JOINED}]|(?<=[{_EMOJI}\ufe0f]\u200d)[{_EMOJI}])",
        # The text and emoji selectors stand behind such a symbol, or between a digit and the keycap.
        rf"(?<![{_EMOJI}0-9#*])[\ufe0e\ufe0f]|(?<=[0-9#*])[\ufe0e\ufe0f](?!\u20e3)",
        # Variants of Han characters and of Mongolian letters stand behind one; the vowel separator between two.
        rf"(?<![{_HAN}])[\ufe00-\ufe02\U000e0100-\U000e01ef]",
        rf"(?<![{_MONGOLIAN}])[\u180b-\u180d\u180f]|(?<![{_MONGOLIAN}])\u180e|\u180e(?![{_MONGOLIAN}])",
    )
)
_INVISIBLE: Final = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe03-\ufe0d"
    r"\ufeff\uffa0\ufff9-\ufffb\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    r"\U000e0020-\U000e007f"
)
_PRIVATE: Final = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_CONTROL: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def _spans(*, beyond_two_bytes: bool) -> str:
    """The unassigned characters as the inside of a character class."""
    ends = ([int(end, 16) for end in span.split("-")] for span in RANGES.split())
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ends if (first > 0xFFFF) is beyond_two_bytes)


# A class is a table for characters of two bytes and a list of ranges beyond: the list is read for those alone.
_UNASSIGNED: Final = re.compile(
    f"[{_spans(beyond_two_bytes=False)}]|(?=[\U00010000-\U0010ffff])[{_spans(beyond_two_bytes=True)}]"
)
# Most text has none of these, so that their places need not be looked at.
_SUSPECT: Final = re.compile(
    rf"[{_CONTROL}\r{_INVISIBLE}{_PRIVATE}\u200c\u200d\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_ODD: Final = re.compile(
    rf"(?P<invisible>[{_INVISIBLE}])|(?P<private>[{_PRIVATE}])|(?P<misplaced>{_MISPLACED})"
    rf"|(?P<control>[{_CONTROL}]|\r(?!\n))"
)
_BREAK: Final = re.compile(r"[\t\n\r]")
_WHY: Final = {
    "invisible": "which cannot be seen or changes the direction of text",
    "private": "which is for private use and looks different everywhere",
    "misplaced": "which has nothing beside it that it could join or vary",
    "control": "a control character",
}


def objection(text: str, *, lines: bool = True) -> str | None:
    """Why `text` cannot be recorded, naming the character; None where it can. Tabs and line breaks need `lines`."""
    breaks = None if lines else _BREAK.search(text)
    if breaks is not None:
        return _words(breaks, "a control character")
    missing = None if text.isascii() else _UNASSIGNED.search(text)
    if missing is not None:
        return _words(missing, f"which Unicode {VERSION} does not assign")
    odd = _ODD.search(text) if _SUSPECT.search(text) is not None else None
    return None if odd is None else _words(odd, _WHY[str(odd.lastgroup)])


def _words(found: re.Match[str], why: str) -> str:
    return f"its character {found.start() + 1} is U+{ord(found[0]):04X}, {why}"


def refuse_unnormalised(text: str, pointer: str = "") -> None:
    """Refuse text that is not in Unicode normal form C, or that holds half of a surrogate pair or what has no form."""
    if text.isascii():
        return
    if _SURROGATE.search(text) is not None:
        raise InvalidField(pointer, "it holds half of a surrogate pair")
    missing = _UNASSIGNED.search(text)
    if missing is not None:
        raise InvalidField(pointer, _words(missing, f"which Unicode {VERSION} does not assign"))
    if not unicodedata.is_normalized("NFC", text):
        raise NotNormalised(pointer)


def _refuse_odd(text: str, *, lines: bool) -> None:
    refuse_unnormalised(text)
    reason = objection(text, lines=lines)
    if reason is not None:
        raise InvalidField("", reason)


class FilePath(str):
    """A relative path with forward slashes, 1 to 512 bytes in UTF-8, normal form C, without ``.``, ``..`` or ``\\``."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        _refuse_odd(value, lines=False)
        if not 1 <= len(value.encode()) <= 512 or any(part in {"", ".", ".."} for part in value.split("/")):
            raise InvalidField("", "it must be a relative path with forward slashes and no '.', '..' or empty part")
        if "\\" in value:
            raise InvalidField("", "it holds a backslash")
        return super().__new__(cls, value)


class Setting(str):
    """The value of a run's parameter, as its program wrote it: 0 to 65,536 code points in normal form C.

    Nothing in it is changed. Tabs and line breaks (LF or CR LF) are taken, and the rules of this chapter hold. A
    document of 4 MiB holds all the parameters of a run together.
    """

    __slots__ = ()
    _least = 0
    _most = MAX_SETTING

    def __new__(cls, value: str) -> Self:
        if not cls._least <= len(value) <= cls._most:
            raise InvalidField("", f"it must have {cls._least} to {cls._most} characters")
        _refuse_odd(value, lines=True)
        return super().__new__(cls, value)


class Text(Setting):
    """Text for people: 1 to 4,000 code points in normal form C, of which one at least can be seen."""

    __slots__ = ()
    _least = 1
    _most = MAX_TEXT

    def __new__(cls, value: str) -> Self:
        made = super().__new__(cls, value)
        if made.isspace():
            raise InvalidField("", "it holds nothing that can be seen")
        return made
