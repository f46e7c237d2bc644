# SPDX-License-Identifier: Apache-2.0
"""Measurements: every number that a program can compute in double precision, as text with one spelling.

The ledger's JSON holds no floating-point numbers, for readers round and print them differently. A metric is therefore
text, and the law decides what it means and how it is spelt.
"""

import re
from decimal import Decimal
from math import isfinite
from typing import Final, Self

from chaincode.domain.errors import InvalidField

MAX_LENGTH: Final = 1_100
"""The longest text that is read as a number, in characters: every float64 fits with all its digits."""

_FINITE: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"nan|[+-]?inf(?:inity)?", re.IGNORECASE)


class Float64(str):
    """An IEEE 754 binary64 as text: ``Float64(Float64(x)) == Float64(x)``, and equal numbers are equal texts.

    Reads decimal text with or without an exponent (what Python, NumPy, C and JSON write) and, in any case, ``nan``,
    ``inf`` and ``-inf``. The spelling is that of RFC 8785, section 3.2.2.3 (ECMAScript's ``Number::toString``): the
    shortest digits that lead back to the number, such as ``0.97``, ``100``, ``1e+21``, ``2.220446049250313e-16``; zero
    has no sign. Digits that a float64 does not hold are rounded to the nearest, as every reader of JSON does.
    `InvalidField` for other text, and for what only rounding would make infinite or zero.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        if len(value) > MAX_LENGTH:
            raise InvalidField("", f"it must be a number of at most {MAX_LENGTH} characters")
        if _NOT_FINITE.fullmatch(value) is not None:
            return super().__new__(cls, repr(float(value)))
        if _FINITE.fullmatch(value) is None:
            raise InvalidField("", "it must be a number as a string: '0.9736', '1e-16', 'nan', 'inf' or '-inf'")
        number = float(value)
        if not isfinite(number) or (number == 0 and _has_digits(value)):
            raise InvalidField("", "it is beyond what a float64 holds: 0, or 5e-324 to 1.7976931348623157e+308")
        # Python finds the same shortest digits as the standard, and only sets them otherwise.
        return super().__new__(cls, spelling(Decimal(repr(number))))


def _has_digits(text: str) -> bool:
    """Whether the number before the exponent is other than zero."""
    return any("1" <= character <= "9" for character in re.split("[eE]", text)[0])


def spelling(number: Decimal) -> str:
    """A finite number as ECMAScript sets it, with all its digits but for zeros at their end."""
    parts = number.as_tuple()
    # The number is 0.DIGITS times ten to the power of `point`.
    point = len(parts.digits) + int(parts.exponent)
    digits = "".join(map(str, parts.digits)).rstrip("0")
    sign = "-" if parts.sign else ""
    if not digits:
        return "0"
    if 0 < point <= 21:
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    elif -6 < point <= 0:
        whole, fraction = "0", "0" * -point + digits
    else:
        whole, fraction = digits[0], digits[1:]
    exponent = "" if -6 < point <= 21 else f"e{point - 1:+d}"
    return sign + whole + ("." + fraction if fraction else "") + exponent
