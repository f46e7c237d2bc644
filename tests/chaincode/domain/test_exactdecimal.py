# SPDX-License-Identifier: Apache-2.0
"""A threshold keeps every digit, and equal thresholds are equal texts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.errors import InvalidField
from chaincode.domain.exactdecimal import LONGEST, MOST_DIGITS, ExactDecimal

DECIMALS = st.builds(
    lambda digits, sign, exponent: f"{sign}{digits}e{exponent}",
    st.integers(0, 10**MOST_DIGITS - 1), st.sampled_from(["", "+", "-"]), st.integers(-260, 260),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("0.95", "0.95"),
        ("00.9500", "0.95"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("-0.0", "0"),
        ("0e9999", "0"),
        ("1e-7", "1e-7"),
        ("100", "100"),
        ("1E21", "1e+21"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("-1.7976931348623157e+308", "-1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
    ],
)
def test_a_threshold_has_one_spelling(text, spelling):
    assert ExactDecimal(text) == ExactDecimal(ExactDecimal(text)) == spelling


@given(DECIMALS)
def test_no_digit_of_a_threshold_is_lost(text):
    assert Decimal(ExactDecimal(text)) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1\n", "1_0", "1,5", "0x1", "1e", ".", "--1", "nan", "inf", "-inf", "\u0661", "1e309", "1e-325",
     "1e12345", "1" * (MOST_DIGITS + 1), "0" * LONGEST + "1", "0." + "3" * (MOST_DIGITS + 1)],
)  # fmt: skip
def test_what_would_have_to_be_rounded_is_refused(text):
    with pytest.raises(InvalidField):
        ExactDecimal(text)
