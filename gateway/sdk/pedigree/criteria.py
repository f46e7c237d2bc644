# SPDX-License-Identifier: Apache-2.0
"""Criteria as people write them, `auc >= 0.95`, as the ledger keeps them."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from pedigree import rules
from pedigree.documents import Criterion
from pedigree.errors import InvalidInput
from pedigree.numbers import as_number

COMPARATORS: Final = (">=", ">", "<=", "<", "==")
_FORM: Final = re.compile(r"([^<>=]*?)\s*(>=|<=|==|>|<)\s*([^\s<>=]+)")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def criteria_of(given: Sequence[str | Criterion | Mapping[str, Any]]) -> list[Criterion]:
    """Criteria out of text or of mappings, whose thresholds may be numbers; raises `InvalidInput`."""
    if isinstance(given, str):
        given = [given]
    return [_criterion(each, f"criterion {place}") for place, each in enumerate(given, start=1)]


def version_measured(version: str | None, selection: str | None) -> str:
    """The data set version that is measured on: the one named, or that of the selection; raises `InvalidInput`."""
    if version is not None:
        return version
    kind, *parts = (selection or "").split(":")
    if kind != "selection" or len(parts) != 3:
        raise InvalidInput("name the data that is measured on: a data set version, or a selection", field="version")
    return f"dataset-version:{parts[0]}:{parts[1]}"


def _criterion(given: str | Criterion | Mapping[str, Any], what: str) -> Criterion:
    if isinstance(given, str):
        found = _FORM.fullmatch(given.strip())
        if found is None:
            raise InvalidInput(
                f"{what}: {given[:60]!r} is not a metric, one of {', '.join(COMPARATORS)}, and a number, "
                "such as 'auc >= 0.95'",
                field=what,
            )
        given = dict(zip(("metric", "comparator", "threshold"), found.groups(), strict=True))
    metric = rules.check_text(given.get("metric"), f"{what}: metric")
    return cast("Criterion", {**given, "metric": metric, "threshold": _threshold(given.get("threshold"), what)})


def _threshold(value: object, what: str) -> str:
    """Every digit of text and of a `Decimal`; of other numbers the shortest text of the same float64."""
    text = str(value) if isinstance(value, str | Decimal) else as_number(value, f"{what}: threshold")
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidInput(f"{what}: the threshold {text[:40]!r} is not a decimal number, such as 0.95", field=what)
    return text
