# SPDX-License-Identifier: Apache-2.0
"""What the ledger will take, found before anything is sent: the rules of `chaincode.domain.values`, stated again.

The SDK stands alone, so the two are compared by a test.
"""

import re
import unicodedata

from gateway.sdk.errors import InvalidInput

MOST_FILES = 4_096
"""Files of a model version."""
MOST_IGNORED = 64
"""Names that a digest of code leaves out, and paths that a model leaves out."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_LONGEST_PATH = 512


def check_path(path: str, what: str) -> str:
    """A relative path with forward slashes, 1 to 512 bytes in UTF-8, in normal form C; else `InvalidInput`."""
    _check_characters(path, what)
    if not 1 <= len(path.encode()) <= _LONGEST_PATH:
        raise InvalidInput(f"{what}: its path has more than {_LONGEST_PATH} bytes", field=what)
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise InvalidInput(f"{what}: it must be a relative path without '.', '..' and empty parts", field=what)
    if "\\" in path or any(unicodedata.category(character) == "Cc" for character in path):
        raise InvalidInput(f"{what!a}: its path holds a backslash or a control character", field=what)
    return path


def _check_characters(text: str, what: str) -> None:
    if text.isascii():
        return
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"{what!a}: it is not Unicode text (UTF-8)", field=what)
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidInput(f"{what!a}: it is not in Unicode normal form C", field=what)
