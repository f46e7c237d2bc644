# SPDX-License-Identifier: Apache-2.0
"""The smallest parts of the formats, each of which has exactly one way to be written: base64 and decimal numbers."""

import binascii
import re
from collections.abc import Callable
from typing import Final

from pedigree.tlog.errors import TlogError, shown

LARGEST_NUMBER: Final = 2**63 - 1
_DECIMAL: Final = re.compile(rb"0|[1-9][0-9]{0,18}")


def encode_base64(value: bytes) -> bytes:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(value, newline=False)


def decode_base64(text: bytes, what: str | Callable[[], str], error: type[TlogError]) -> bytes:
    """The bytes that `text` encodes; raises `error`, also for what `encode_base64` would write differently.

    Two spellings of the same bytes would be two files that verify as one. Words that take long to find are given as a
    function, which is called only for an error.
    """
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        value = None
    if value is None or encode_base64(value) != text:
        raise error(f"{what if isinstance(what, str) else what()} is not standard base64")
    return value


def decode_decimal(text: bytes, what: str, error: type[TlogError]) -> int:
    """A whole number from 0 to 2^63 - 1 in decimal digits without leading zeros; raises `error`."""
    if _DECIMAL.fullmatch(text) is None or (value := int(text)) > LARGEST_NUMBER:
        raise error(f"{what} is {shown(text)}, and not a decimal number below 2^63 without leading zeros")
    return value
