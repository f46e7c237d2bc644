# SPDX-License-Identifier: Apache-2.0
"""The fields of a file of evidence: read one by one, refused by name, and shown so that no terminal obeys them."""

import base64
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pedigree.errors import InvalidEvidence

SCHEMA: Final = 1
LONGEST_PATH: Final = 64
LARGEST_NUMBER: Final = 2**53 - 1
_LONGEST_SHOWN: Final = 200
_LONGEST_NAME: Final = 60
_DIGEST: Final = re.compile("[0-9a-f]{64}")
# Printable to Python, and nothing on a screen: fillers, joiners and variation selectors.
_INVISIBLE: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def escaped(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """`text` in one line, with everything that a terminal would obey or not show as `\\x…`, and cut where long."""
    cut = text if len(text) <= longest else text[:longest] + "…"
    if cut.isprintable() and not _INVISIBLE.search(cut) and "\\" not in cut:
        return cut
    return "".join(
        each if each.isprintable() and each != "\\" and not _INVISIBLE.match(each) else _escape(each) for each in cut
    )


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Fields:
    """An object of the file, read field by field; every reading refuses what has another form."""

    def __init__(
        self, value: dict[str, Any], place: str, names: str | None, optional: str = "", kind: str = "record-evidence"
    ) -> None:
        self.value = value
        self._place = place
        self._kind = kind
        if names is None:
            return
        for name in value:
            if name not in {*names.split(), *optional.split()}:
                raise InvalidEvidence(f"the field {place}/{escaped(name, _LONGEST_NAME)} is not one of a {kind}")
        for name in names.split():
            self._get(name)

    def has(self, name: str) -> bool:
        """Whether the field is there and says something."""
        return self.value.get(name) is not None

    def expect(self, name: str, *wanted: str) -> None:
        """Refuse a field that does not hold one of these texts."""
        if self.text(name) not in wanted:
            self.refuse(name, " or ".join(f"'{escaped(each)}'" for each in wanted))

    def text(self, name: str) -> str:
        found = self._get(name)
        if not isinstance(found, str) or not _is_unicode(found):
            self.refuse(name, "text")
        return found

    def matching(self, name: str, pattern: str, what: str) -> str:
        found = self.text(name)
        if re.fullmatch(pattern, found) is None:
            self.refuse(name, what)
        return found

    def number(self, name: str, *, least: int = 0, most: int = LARGEST_NUMBER) -> int:
        found = self._get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            self.refuse(name, f"a whole number from {least} to {most}")
        return found

    def digest(self, name: str) -> bytes:
        return bytes.fromhex(self.matching(name, "[0-9a-f]{64}", "64 lower-case hexadecimal digits"))

    def blob(self, name: str, *, size: int | None = None) -> bytes:
        try:
            found = base64.b64decode(self.text(name), validate=True)
        except ValueError:
            self.refuse(name, "base64")
        if size is not None and len(found) != size:
            self.refuse(name, f"base64 of {size} bytes")
        return found

    def path(self, name: str) -> tuple[bytes, ...]:
        return tuple(
            bytes.fromhex(node) for node in self.texts(name, LONGEST_PATH, lambda node: _DIGEST.fullmatch(node))
        )

    def texts(self, name: str, most: int, allowed: Callable[[str], object]) -> tuple[str, ...]:
        found = self._get(name)
        if not isinstance(found, list) or len(found) > most:
            self.refuse(name, f"a list of at most {most}")
        if not all(isinstance(each, str) and _is_unicode(each) and allowed(each) for each in found):
            self.refuse(name, "a list of texts of the right form")
        return tuple(found)

    def inner(self, name: str, names: str | None = None, optional: str = "") -> "Fields":
        found = self._get(name)
        if not isinstance(found, dict):
            self.refuse(name, "an object")
        fields = Fields(found, f"{self._place}/{escaped(name, _LONGEST_NAME)}", names, optional, self._kind)
        if "schema" in (names or "schema").split() and not is_schema(found.get("schema")):
            fields.refuse("schema", str(SCHEMA))
        return fields

    def _get(self, name: str) -> Any:
        if name not in self.value:
            raise InvalidEvidence(f"the field {self._place}/{name} is missing")
        return self.value[name]

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Say what a field must be."""
        # The file itself may have chosen the name.
        raise InvalidEvidence(f"the field {self._place}/{escaped(name, _LONGEST_NAME)} must be {wanted}")


def is_schema(value: Any) -> bool:
    """Whether a document is of the one schema that there is."""
    return isinstance(value, int) and not isinstance(value, bool) and value == SCHEMA


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry it: JSON can hold one half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)
