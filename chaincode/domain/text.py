# SPDX-License-Identifier: Apache-2.0
"""Free text: what people and programs may write into a record, so that everybody who reads it sees the same.

`characters` says which characters it may hold, and why.
"""

import re
import unicodedata
from typing import Final, Self

from chaincode.domain.characters import objection, objection_to_unassigned
from chaincode.domain.errors import InvalidField, NotNormalised

MAX_TEXT: Final = 4_000
"""The longest text, in code points."""
MAX_SETTING: Final = 65_536
"""The longest setting of a run, in code points."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def refuse_unnormalised(text: str, pointer: str = "") -> None:
    """Refuse text that is not in Unicode normal form C, or that holds half of a surrogate pair or what has no form."""
    if text.isascii():
        return
    if _SURROGATE.search(text) is not None:
        raise InvalidField(pointer, "it holds half of a surrogate pair")
    missing = objection_to_unassigned(text)
    if missing is not None:
        raise InvalidField(pointer, missing)
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
