# SPDX-License-Identifier: Apache-2.0
"""Settings of a training as text that the ledger keeps, and that is the same for the same setting."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from pedigree import rules
from pedigree.errors import InvalidInput
from pedigree.numbers import plain_value

_ADDRESS: Final = re.compile(r"\bat 0x[0-9A-Fa-f]+")
_FEW: Final = 32
"""Elements of an array that are written; of a larger one, its digest is."""
_DEEPEST: Final = 8


def said(value: Any, depth: int = 0) -> str:
    """A setting as text: what has no text of its own by its name, and none with an address in memory.

    An object with parameters, such as an estimator, is its class; a large array its shape and SHA-256.
    """
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params"):
        return said(type(value))
    if isinstance(value, Mapping | list | tuple):
        return _said_within(value, depth + 1) if depth < _DEEPEST else "…"
    if hasattr(value, "tobytes") and getattr(value, "ndim", None) and value.size > _FEW:
        digest = hashlib.sha256(value.tobytes()).hexdigest()
        return f"array of {' × '.join(map(str, value.shape))}, {value.dtype}, SHA-256 {digest}"
    plain = plain_value(value) if not getattr(value, "ndim", None) else value
    text = repr(plain) if depth and isinstance(plain, str) else str(plain)
    return _ADDRESS.sub("in memory", text)


def _said_within(value: "Mapping[Any, Any] | list[Any] | tuple[Any, ...]", depth: int) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{said(name, depth)}: {said(each, depth)}" for name, each in value.items()) + "}"
    inner = ", ".join(said(each, depth) for each in value)
    if isinstance(value, list):
        return f"[{inner}]"
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def settled(text: str, most: int = rules.LONGEST_SETTING) -> str:
    """Text that the ledger takes: in normal form C, with escapes for what it does not take, and a long one's digest."""
    text = unicodedata.normalize("NFC", text)
    if len(text) <= most:
        try:
            return rules.check_text(text, "a setting", 0, most)
        except InvalidInput:
            escaped = text.encode("ascii", "backslashreplace").decode()
            text = "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in escaped)
    if len(text) <= most:
        return text
    return f"SHA-256 {hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()} of {len(text)} characters"
