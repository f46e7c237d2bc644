# SPDX-License-Identifier: Apache-2.0
"""Criteria as people write them: the same as the law takes, to the last digit."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.criteria import Comparator
from chaincode.domain.exactdecimal import ExactDecimal
from pedigree import InvalidInput
from pedigree.criteria import COMPARATORS, criteria_of, version_measured


def test_the_comparators_are_those_of_the_law() -> None:
    assert tuple(each.value for each in Comparator) == COMPARATORS


@given(
    st.sampled_from(["auc", "top-1 accuracy", "AUC (macro)", "x"]),
    st.sampled_from(COMPARATORS),
    st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-1_000, max_value=1_000),
    st.sampled_from(["", " ", "  "]),
)
def test_text_says_what_a_mapping_says(metric: str, comparator: str, threshold: Decimal, gap: str) -> None:
    (read,) = criteria_of([f" {metric}{gap}{comparator}{gap}{threshold} "])
    assert (read["metric"], read["comparator"]) == (metric, comparator)
    assert Decimal(ExactDecimal(read["threshold"])) == threshold
    assert criteria_of([{"metric": metric, "comparator": comparator, "threshold": threshold}]) == [read]


def test_one_text_alone_is_one_criterion() -> None:
    assert criteria_of("auc >= 0.95") == criteria_of(["auc >= 0.95"])


@pytest.mark.parametrize(
    ("threshold", "text"),
    [(1, "1"), (0.1, "0.1"), (np.float32(0.5), "0.5"), ("0.1000000000000000055511", "0.1000000000000000055511")],
)
def test_a_threshold_is_a_number_or_its_text(threshold: Any, text: str) -> None:
    (read,) = criteria_of([{"metric": "auc", "comparator": ">=", "threshold": threshold}])
    assert read["threshold"] == text


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("auc", "'auc' is not a metric, one of >=, >, <=, <, ==, and a number"),
        ("auc => 0.9", "is not a metric, one of"),
        ("auc >= high", "criterion 1: the threshold 'high' is not a decimal number"),
        (">= 0.9", "criterion 1: metric"),
        ("auc >= nan", "is not a decimal number"),
        ({"metric": "auc", "comparator": ">=", "threshold": True}, "truth value"),
        ({"metric": "auc", "comparator": ">=", "threshold": float("inf")}, "is not a decimal number"),
        ({"metric": "auc", "comparator": ">="}, "criterion 1: threshold"),
        ({"comparator": ">=", "threshold": 1}, "criterion 1: metric"),
    ],
)
def test_what_is_no_criterion_is_refused_before_it_is_sent(given_: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        criteria_of([given_])


def test_the_version_is_that_of_the_selection_unless_it_is_named() -> None:
    assert version_measured("dataset-version:d:2", "selection:d:1:test") == "dataset-version:d:2"
    assert version_measured(None, "selection:d:1:test") == "dataset-version:d:1"
    for nothing in (None, "dataset:d", "selection:d:1"):
        with pytest.raises(InvalidInput, match="name the data that is measured on"):
            version_measured(None, nothing)
