# SPDX-License-Identifier: Apache-2.0
"""What the ledger will take, found before anything is sent: the rules of `chaincode.domain`, stated again.

Limits and forms are compared with the law's by a test; which characters text may hold is the law's own table. Each
check answers the value, or raises `InvalidInput`, which says what was checked.
"""

import operator
import re
import unicodedata
from typing import Any

from pedigree.characters import objection
from pedigree.errors import InvalidInput

MOST_FILES = 4_096
"""Files of a model version."""
MOST_IGNORED = 64
"""Names that a digest of code leaves out, and paths that a model leaves out."""
MOST_INPUTS = 64
"""Data set versions that a run used, and model versions that it began from."""
WITHDRAWABLE = frozenset({"consent", "hipaa-authorisation"})
"""The lawful bases that a subject gives and takes back: data on these is used through a selection."""
WITHHELD = frozenset({"confidential", "personal", "special-category"})
"""How sensitive data is that nobody but its owner uses without a grant."""
MOST_PARAMETERS = 1_024
MOST_METRICS = 10_000
"""Metrics of a run or an evaluation, each step of each counted."""
MOST_ARTIFACTS = 1_024
"""Files that a run names."""
MOST_BYTES = 4 * 1024 * 1024
"""The largest document."""
LONGEST_NAME = 64
LONGEST_TEXT = 4_000
LONGEST_SETTING = 65_536
"""Characters of a parameter's value."""
LARGEST_STEP = 2**53 - 1
_LONGEST_PATH = 512
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ROLES = ("train", "validation", "test")


def check_name(name: Any, what: str) -> str:
    """The name of a record."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        said = "1 to 64 lower-case letters, digits, dots, underscores and hyphens, with a letter or digit at both ends"
        raise InvalidInput(f"{what}: {_shown(name)} is not a name: {said}", field=what)
    return str(name)


def check_text(text: Any, what: str, least: int = 1, most: int = LONGEST_TEXT) -> str:
    """Text for people."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what}: it must be text, not a {type(text).__name__}", field=what)
    if not least <= len(text) <= most:
        raise InvalidInput(f"{what}: it must have {least} to {most} characters, and it has {len(text)}", field=what)
    _check_characters(text, what)
    if least and text.isspace():
        raise InvalidInput(f"{what}: it holds nothing that can be seen", field=what)
    return str(text)


def check_setting(text: str, what: str) -> str:
    """The value of a parameter."""
    return check_text(text, what, 0, LONGEST_SETTING)


def check_digest(digest: Any, what: str) -> str:
    """A SHA-256."""
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{what}: {_shown(digest)} is not a SHA-256 of 64 lower-case hexadecimal digits", field=what)
    return str(digest)


def check_commit(commit: Any, what: str) -> str:
    """A git commit."""
    if not isinstance(commit, str) or _COMMIT.fullmatch(commit) is None:
        raise InvalidInput(f"{what}: {_shown(commit)} is not a git commit of 40 or 64 hexadecimal digits", field=what)
    return str(commit)


def check_version(reference: Any, kind: str, what: str) -> str:
    """A reference to a version, such as `model-version:net:1`."""
    parts = reference.split(":") if isinstance(reference, str) else []
    if len(parts) != 3 or parts[0] != kind or not _NAME.fullmatch(parts[1]) or not _NUMBER.fullmatch(parts[2]):
        raise InvalidInput(f"{what}: {_shown(reference)} is not a reference such as '{kind}:name:1'", field=what)
    return str(reference)


def check_role(role: Any, what: str) -> str:
    """What a run used a data set version for."""
    if role not in _ROLES:
        raise InvalidInput(f"{what}: the role {_shown(role)} is none of {', '.join(_ROLES)}", field=what)
    return str(role)


def check_step(step: Any, what: str) -> int:
    """A step of a training, as any type of whole number."""
    try:
        number = operator.index(step)
    except TypeError:
        number = -1
    if isinstance(step, bool) or not 0 <= number <= LARGEST_STEP:
        raise InvalidInput(f"{what}: a step is a whole number from 0 to {LARGEST_STEP}, not {_shown(step)}", field=what)
    return number


def check_path(path: str, what: str) -> str:
    """A relative path with forward slashes, 1 to 512 bytes in UTF-8."""
    _check_characters(path, what, lines=False)
    if not 1 <= len(path.encode()) <= _LONGEST_PATH:
        raise InvalidInput(f"{what}: its path has more than {_LONGEST_PATH} bytes", field=what)
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise InvalidInput(f"{what}: it must be a relative path without '.', '..' and empty parts", field=what)
    if "\\" in path:
        raise InvalidInput(f"{_printable(what)}: its path holds a backslash", field=what)
    return path


def _check_characters(text: str, what: str, *, lines: bool = True) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"{_printable(what)}: it is not Unicode text (UTF-8)", field=what)
    reason = objection(text, lines=lines)
    if reason is not None:
        raise InvalidInput(f"{_printable(what)}: {reason}", field=what)
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidInput(
            f"{_printable(what)}: it is not in Unicode normal form C: unicodedata.normalize('NFC', …)", field=what
        )


def _printable(text: str) -> str:
    """The name of a file, whatever is in it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
