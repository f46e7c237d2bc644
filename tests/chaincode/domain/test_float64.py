# SPDX-License-Identifier: Apache-2.0
"""Every float64 is a metric, and equal numbers are equal texts."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.errors import InvalidField
from chaincode.domain.float64 import Float64

SMALLEST = 5e-324


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("0.9736", "0.9736"),
        ("-0.9736", "-0.9736"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("+01.", "1"),
        (".5", "0.5"),
        ("0", "0"),
        ("-0.0", "0"),
        ("0e999999999", "0"),
        ("1e-06", "0.000001"),
        ("1e-7", "1e-7"),
        ("100000000000000000000", "100000000000000000000"),
        ("1E21", "1e+21"),
        ("1e22", "1e+22"),
        ("123456789012345680000", "123456789012345680000"),
        ("2.220446049250313e-16", "2.220446049250313e-16"),
        ("3.4e38", "3.4e+38"),
        ("1e-320", "1e-320"),
        ("5e-324", "5e-324"),
        ("-1.7976931348623157e+308", "-1.7976931348623157e+308"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("nan", "nan"),
        ("NaN", "nan"),
        ("inf", "inf"),
        ("Infinity", "inf"),
        ("-INF", "-inf"),
        (format(Decimal(SMALLEST), "f"), "5e-324"),
    ],
)
def test_a_number_has_one_spelling(text, spelling):
    assert Float64(text) == Float64(Float64(text)) == spelling


@given(st.floats())
def test_every_float64_is_kept_exactly(number):
    for text in (
        repr(number),
        format(number, ".17g"),
        str(Decimal(number)),
        format(Decimal(number), "f"),
    ):
        back = float(Float64(text))
        assert back == number or (math.isnan(back) and math.isnan(number))
        assert Float64(text) == Float64(repr(number))


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1\n", "1_000", "1,5", "0x1p3", "1e", "e1", ".", "--1", "-nan", "True", "\u0661", "1e309", "-1e400",
     "1e-400", "0.0001e-330", "1" * 1_101],
)  # fmt: skip
def test_what_is_no_float64_is_refused(text):
    with pytest.raises(InvalidField):
        Float64(text)
