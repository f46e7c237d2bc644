# SPDX-License-Identifier: Apache-2.0
"""Thresholds: decimal numbers that are kept to the last digit and compared exactly."""

import re
from decimal import Decimal
from typing import Final, Self

from chaincode.domain.errors import InvalidField
from chaincode.domain.float64 import spelling

MOST_DIGITS: Final = 40
"""How many digits a number has at most, without zeros at either end."""
LONGEST: Final = 100
"""The longest text that is read as one, in characters."""
_FORM: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LEAST, _MOST = -324, 308
"""The decimal exponents of the first digit of a float64."""


class ExactDecimal(str):
    """A decimal number as text: ``ExactDecimal(ExactDecimal(x)) == ExactDecimal(x)``, and equal ones are equal texts.

    Reads decimal text with or without an exponent. Nothing is rounded: what has more than `MOST_DIGITS` digits, or a
    magnitude that no float64 has, is refused with `InvalidField`, as is other text. The spelling is that of a
    `Float64`: ``0.95``, ``100``, ``1e-7``; zero has no sign.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        if len(value) > LONGEST or _FORM.fullmatch(value) is None:
            raise InvalidField("", f"it must be a decimal number as a string of at most {LONGEST} characters: '0.95'")
        number = Decimal(value)
        digits = "".join(map(str, number.as_tuple().digits)).strip("0")
        if len(digits) > MOST_DIGITS or (digits and not _LEAST <= number.adjusted() <= _MOST):
            raise InvalidField("", f"it must have at most {MOST_DIGITS} digits, and a magnitude that a float64 has")
        return super().__new__(cls, spelling(number))
