# SPDX-License-Identifier: Apache-2.0
"""What the SDK refuses when it is given is what the law refuses at the end: no less, and no more."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain import canonical, model, register, text, training, usage, values
from chaincode.domain.consent import WITHDRAWABLE
from chaincode.domain.covering import WITHHELD
from chaincode.domain.errors import LedgerError
from chaincode.domain.float64 import MAX_LENGTH, Float64
from pedigree import InvalidInput, numbers, rules
from pedigree.numbers import as_number, plain_value

TEXT = st.text(max_size=20) | st.text(
    st.sampled_from("aZ9._-:/\\ \t\n\r\x1b\x00\x7f\x85é\u0301\ud800\u202e%*"), max_size=20
)
LONG = st.sampled_from([0, 1, 63, 64, 65, 511, 512, 513, 4_000, 4_001, 65_536, 65_537]).map(lambda size: "a" * size)
DECIMALS = st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,4}([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def takes(make: Callable[[Any], object], value: Any) -> bool:
    try:
        make(value)
    except (InvalidInput, LedgerError):
        return False
    return True


@given(text=TEXT | LONG)
@example("e\u0301")
@example("a\rb")
@example("\x1b[31mred")
@pytest.mark.parametrize(
    ("check", "law"),
    [
        (rules.check_name, values.Name),
        (rules.check_text, values.Text),
        (rules.check_setting, values.Setting),
        (rules.check_path, values.FilePath),
        (rules.check_digest, values.Digest.parse),
        (rules.check_commit, values.CommitId),
    ],
)
def test_text_is_taken_where_the_law_takes_it(
    check: Callable[[str, str], object], law: Callable[[str], object], text: str
) -> None:
    assert takes(lambda value: check(value, "it"), text) is takes(law, text)


@given(text=st.from_regex(r"(dataset-version|model-version|model|run):[a-z.-]{0,3}(:0?[0-9]{0,10})?", fullmatch=True))
def test_a_reference_is_taken_where_the_law_takes_it(text: str) -> None:
    def lawful() -> bool:
        try:
            return register.locate(values.Ref(text))[0].reference == "model-version"
        except LedgerError:
            return False

    assert takes(lambda value: rules.check_version(value, "model-version", "it"), text) is lawful()


@given(
    text=TEXT | DECIMALS | st.sampled_from(["nan", "NaN", "inf", "-Infinity", "1_0", " 1", "1e-400", "1e400", "0e9"])
)
@example("9" * MAX_LENGTH)
@example("0" * (MAX_LENGTH + 1))
def test_a_number_as_text_is_taken_where_the_law_takes_it(text: str) -> None:
    assert takes(lambda value: as_number(value, "it"), text) is takes(Float64, text)
    if takes(Float64, text):
        assert Float64(as_number(text, "it")) == Float64(text)


@given(number=st.floats())
def test_every_float64_is_kept_exactly(number: float) -> None:
    for value in (number, np.float64(number), np.array(number), np.array([number])):
        kept = float(Float64(as_number(value, "it")))
        assert kept == number or (math.isnan(kept) and math.isnan(number))


@given(number=st.integers() | st.decimals() | st.fractions() | st.integers(min_value=10**300, max_value=10**310))
def test_numbers_of_other_types_are_rounded_to_a_float64_and_never_to_zero_or_infinity(number: Any) -> None:
    try:
        kept = float(Float64(as_number(number, "it")))
    except InvalidInput:
        if isinstance(number, Decimal) and number.is_snan():
            return
        assert number != 0
        assert abs(number) < Fraction(5, 10**324) or abs(number) >= 2**1024 - 2**970
        return
    assert kept == float(number) or math.isnan(kept)


class Tensor:
    """What torch's tensors have in common with numbers."""

    ndim = 0

    def __init__(self, *values: Any) -> None:
        self.values = values

    def item(self) -> Any:
        if len(self.values) != 1:
            raise RuntimeError(f"a Tensor with {len(self.values)} elements cannot be converted to Scalar")
        return self.values[0]


class Measure:
    def __float__(self) -> float:
        return 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.5, "0.5"),
        (2.220446049250313e-16, "2.220446049250313e-16"),
        (3.4028234663852886e38, "3.4028234663852886e+38"),
        (1e31, "1e+31"),
        (5e-324, "5e-324"),
        (Decimal("1.50"), "1.5"),
        (Fraction(-1, 4), "-0.25"),
        ("0.9736", "0.9736"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (np.float64(0.97), "0.97"),
        (np.mean([0.9, 0.8]), "0.8500000000000001"),
        (np.float32(0.5), "0.5"),
        (np.float16(0.5), "0.5"),
        (np.longdouble(0.5), "0.5"),
        (np.int64(7), "7"),
        (np.uint8(255), "255"),
        (np.array(0.25), "0.25"),
        (np.array([[3]]), "3"),
        (np.str_("0.5"), "0.5"),
        (Tensor(0.125), "0.125"),
        (Measure(), "0.5"),
    ],
)
def test_whatever_is_called_a_number_is_a_metric(value: Any, text: str) -> None:
    assert as_number(value, "it") == text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (True, "truth value"),
        (np.True_, "truth value"),
        (np.array(False), "truth value"),
        (Tensor(True), "truth value"),
        (1j, "a complex is not a number"),
        (np.complex128(1j), "a complex is not a number"),
        (None, "a NoneType is not a number"),
        ([0.5], "a list is not a number"),
        (b"0.5", "a bytes is not a number"),
        (np.array([1, 2]), "not: can only convert an array of size 1"),
        (np.array([]), "not: can only convert an array of size 1"),
        (np.ma.masked, "it is masked"),
        (np.datetime64("2026-01-01"), "a date is not a number"),
        (Tensor(1, 2), "2 elements"),
        ("good", "'good' is not a number"),
        ("1_000", "is not a number"),
        ("1e999", "beyond what a float64 holds"),
        (10**400, "beyond what a float64 holds"),
        (Decimal("1e-999"), "beyond what a float64 holds"),
        (Fraction(1, 10**400), "beyond what a float64 holds"),
        (Decimal("sNaN"), "is not a number"),
    ],
)
def test_what_is_not_a_number_is_refused_by_name(value: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        as_number(value, "metric 'accuracy'")
    assert str(refused.value).startswith("metric 'accuracy': ")
    assert refused.value.facts == {"field": "metric 'accuracy'"}


@pytest.mark.parametrize(("step", "is_one"), [(0, True), (2**53 - 1, True), (np.int32(3), True), (-1, False),
                                              (2**53, False), (1.0, False), (True, False), ("1", False)])  # fmt: skip
def test_steps_are_whole_numbers(step: Any, is_one: bool) -> None:
    assert takes(lambda value: rules.check_step(value, "it"), step) is is_one
    if is_one:
        values.Count(rules.check_step(step, "it"))


def test_what_is_refused_is_named_so_that_it_can_be_printed() -> None:
    for name in ("a\x1b[31m", "\udcff", "e\u0301\n"):
        with pytest.raises(InvalidInput) as refused:
            rules.check_path(name, name)
        assert str(refused.value).isprintable()


def test_limits_are_those_of_the_law() -> None:
    fields = training.RecordRun.__dataclass_fields__
    assert fields["inputs"].metadata["max"] == fields["parents"].metadata["max"] == rules.MOST_INPUTS
    assert set(WITHDRAWABLE) == rules.WITHDRAWABLE
    assert set(WITHHELD) == rules.WITHHELD
    assert (rules.MOST_PARAMETERS, rules.MOST_METRICS) == (training.MOST_PARAMETERS, usage.MOST_METRICS)
    assert model.RecordModelVersion.__dataclass_fields__["files"].metadata["max"] == rules.MOST_FILES
    assert model.RecordModelVersion.__dataclass_fields__["ignore_paths"].metadata["max"] == rules.MOST_IGNORED
    assert training.Code.__dataclass_fields__["ignored"].metadata["max"] == rules.MOST_IGNORED
    assert canonical.MAX_BYTES == rules.MOST_BYTES
    assert (text.MAX_TEXT, text.MAX_SETTING) == (rules.LONGEST_TEXT, rules.LONGEST_SETTING)
    assert values.MAX_INTEGER == rules.LARGEST_STEP
    assert MAX_LENGTH == numbers.LONGEST_NUMBER
    assert tuple(role.value for role in usage.InputRole) == ("train", "validation", "test")


def test_settings_are_written_as_python_writes_them() -> None:
    given = {"rate": np.float64(0.1), "layers": [np.int64(2), (np.float32(0.5),)], "name": "x", "on": True}
    assert str(plain_value(given)) == "{'rate': 0.1, 'layers': [2, (0.5,)], 'name': 'x', 'on': True}"
    assert str(plain_value(np.array([1, 2]))) == "[1 2]"
