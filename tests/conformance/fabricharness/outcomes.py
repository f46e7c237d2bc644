# SPDX-License-Identifier: Apache-2.0
"""Notes how each case ended on a ledger, for the table that compares them.

Every run leaves `build/conformance-LEDGER.json`. A case that several tests hold passes when all of them pass; it is
written down as skipped, with the reason, when any of them did not run.
"""

import json
import re
from pathlib import Path

import pytest

_CASE = re.compile(r"test_c(\d{3})_")
_ROOT = Path(__file__).resolve().parents[3]


def file_of(ledger: str) -> Path:
    """Where a ledger's outcomes are."""
    return _ROOT / "build" / f"conformance-{ledger}.json"


class Recorder:
    """A plugin of pytest."""

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger
        self._found: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case = _CASE.search(report.nodeid)
        if case is None or (report.when != "call" and report.outcome == "passed"):
            return
        outcome, reason = report.outcome, ""
        if outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        known = self._found.setdefault(f"C-{case[1]}", {"outcome": "passed", "reason": ""})
        if outcome == "failed" or (outcome == "skipped" and known["outcome"] != "failed"):
            known.update(outcome=outcome, reason=reason)

    def pytest_sessionfinish(self) -> None:
        if not self._found:
            return
        file = file_of(self._ledger)
        file.parent.mkdir(exist_ok=True)
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps(before | self._found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
