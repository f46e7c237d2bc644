# SPDX-License-Identifier: Apache-2.0
"""Whatever Python, NumPy or torch calls a number, as the text of a float64 that the ledger keeps."""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pedigree.errors import InvalidInput

LONGEST_NUMBER = 1_100
"""Characters of a number as text; every float64 fits with all its digits."""
_FINITE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"nan|[+-]?inf(?:inity)?", re.IGNORECASE)
_CONTAINERS = (bytes, bytearray, list, tuple, dict, set, frozenset)


def as_number(value: Any, what: str) -> str:
    """A measurement as text: the shortest that names the same float64, or `nan`, `inf`, `-inf`.

    Takes Python's numbers, `Decimal`, `Fraction`, NumPy's scalars and arrays of one element, torch's tensors of one
    element, whatever else has `__float__`, and numbers as text. What a float64 cannot tell from its neighbours is
    rounded to the nearest. `InvalidInput`, which says `what` it is, for anything else: a truth value, a complex number,
    text that is not a number, several numbers, and what only rounding would make infinite or zero.
    """
    number = _from_text(value, what) if isinstance(value, str) else _from_number(_scalar(value, what), what)
    return repr(number).removesuffix(".0")


def plain_value(value: Any) -> Any:
    """A setting's value without the types that NumPy and torch write in a way of their own, also in lists of it."""
    if isinstance(value, list | tuple):
        plain = [plain_value(item) for item in value]
        return plain if isinstance(value, list) else tuple(plain)
    if type(value) is dict:
        return {plain_value(key): plain_value(item) for key, item in value.items()}
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value


def _scalar(value: Any, what: str) -> Any:
    """What a scalar, or an array or tensor of one element, holds."""
    if not hasattr(value, "item") or isinstance(value, _CONTAINERS):
        return value
    try:
        if getattr(value, "mask", False):  # NumPy's masked values answer 0 when they are asked
            raise ValueError("it is masked")
        return value.item()
    except (TypeError, ValueError, RuntimeError) as exc:
        kind = type(value).__name__
        raise InvalidInput(f"{what}: it must be one number, and this {kind} is not: {exc}", field=what) from None


def _from_number(value: Any, what: str) -> float:
    kind = type(value).__name__
    if isinstance(value, bool) or kind == "bool_":
        raise InvalidInput(f"{what}: {value} is a truth value, not a number; log 1 or 0 if that is meant", field=what)
    if isinstance(value, (*_CONTAINERS, complex)) or not _converts(value):
        raise InvalidInput(f"{what}: a {kind} is not a number", field=what)
    try:
        number = float(value)
    except OverflowError:
        raise _beyond(what) from None
    except (TypeError, ValueError) as exc:
        raise InvalidInput(f"{what}: a {kind} is not a number: {exc}", field=what) from None
    if isinstance(value, int | Fraction | Decimal) and _is_lost(value, number):
        raise _beyond(what)
    return number


def _is_lost(exact: int | Fraction | Decimal, number: float) -> bool:
    """Whether only rounding made the number zero or infinite."""
    return (number == 0 and exact != 0) or (math.isinf(number) and abs(exact) != math.inf)


def _converts(value: Any) -> bool:
    return hasattr(type(value), "__float__") or hasattr(type(value), "__index__")


def _from_text(text: str, what: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise InvalidInput(f"{what}: a number has at most {LONGEST_NUMBER} characters", field=what)
    if _NOT_FINITE.fullmatch(text) is not None:
        return float(text)
    if _FINITE.fullmatch(text) is None:
        raise InvalidInput(f"{what}: {text[:40]!r} is not a number, such as 0.9736, 1e-16, nan or inf", field=what)
    number = float(text)
    has_digits = any("1" <= character <= "9" for character in re.split("[eE]", text)[0])
    if math.isinf(number) or (number == 0 and has_digits):
        raise _beyond(what)
    return number


def _beyond(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what}: it is beyond what a float64 holds: 0, or 5e-324 to 1.7976931348623157e+308", field=what
    )
