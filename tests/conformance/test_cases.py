# SPDX-License-Identifier: Apache-2.0
"""The list of cases and the tests agree."""

import ast
import re
from pathlib import Path

from cases import CASES, LEFT_OUT

MOST_LEFT_OUT = 40
NUMBERED = re.compile(r"test_c(\d{3})_")


def implemented() -> set[str]:
    """The ids in the names of this folder's test functions."""
    names = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    return {f"C-{found[1]}" for name in names if (found := NUMBERED.match(name))}


def test_every_case_is_implemented_or_left_out_for_a_reason() -> None:
    assert set(CASES) - implemented() == set(LEFT_OUT)


def test_no_test_names_an_unknown_case() -> None:
    assert implemented() <= set(CASES)


def test_few_cases_are_left_out_and_each_says_why() -> None:
    assert len(LEFT_OUT) <= MOST_LEFT_OUT
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
