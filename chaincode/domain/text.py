# SPDX-License-Identifier: Apache-2.0
"""Free text: what people and programs may write into a record."""

import unicodedata
from typing import Final, Self

from chaincode.domain.errors import InvalidField, NotNormalised

MAX_TEXT: Final = 4_000
"""The longest text, in code points."""
MAX_SETTING: Final = 65_536
"""The longest setting of a run, in code points."""


def refuse_unnormalised(text: str, pointer: str = "") -> None:
    """Refuse text that is not in Unicode normal form C or that holds a lone surrogate."""
    if text.isascii():
        return
    if not unicodedata.is_normalized("NFC", text):
        raise NotNormalised(pointer)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidField(pointer, "it holds half of a surrogate pair")


class FilePath(str):
    """A relative path with forward slashes, 1 to 512 bytes in UTF-8, normal form C, without ``.``, ``..`` or ``\\``."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        refuse_unnormalised(value)
        if not 1 <= len(value.encode()) <= 512 or any(part in {"", ".", ".."} for part in value.split("/")):
            raise InvalidField("", "it must be a relative path with forward slashes and no '.', '..' or empty part")
        if "\\" in value or any(unicodedata.category(character) == "Cc" for character in value):
            raise InvalidField("", "it holds a backslash or a control character")
        return super().__new__(cls, value)


class Text(str):
    """Text for people: 1 to 4,000 code points in normal form C, no control characters but newline and tab."""

    __slots__ = ()
    _least = 1
    _most = MAX_TEXT

    def __new__(cls, value: str) -> Self:
        if not cls._least <= len(value) <= cls._most:
            raise InvalidField("", f"it must have {cls._least} to {cls._most} characters")
        refuse_unnormalised(value)
        if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in value):
            raise InvalidField("", "it holds a control character")
        return super().__new__(cls, value)


class Setting(Text):
    """The value of a run's parameter, as its program wrote it: 0 to 65,536 code points, else as `Text`.

    Nothing in it is changed. A document of 4 MiB holds all the parameters of a run together.
    """

    __slots__ = ()
    _least = 0
    _most = MAX_SETTING
