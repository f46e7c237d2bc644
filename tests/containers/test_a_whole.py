# SPDX-License-Identifier: Apache-2.0
"""What runs on every ledger runs on the consortium in containers: every scenario, and the demonstration."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from containerharness.consortium import Consortium

pytestmark = pytest.mark.fabric

_REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=_REPOSITORY, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=900,
    )  # fmt: skip


def test_every_scenario_comes_out_as_on_the_other_ledgers(consortium: Consortium) -> None:
    done = run(
        *["pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "tests/scenarios", "--ledger", "fabric"],
        PEDIGREE_NETWORK=str(consortium.directory),
    )
    assert done.returncode == 0, done.stdout[-30_000:]
    counted = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert counted is not None
    assert int(counted[1]) >= 20
    print(f"\nscenarios on Fabric in containers: {counted[1]}")


def test_the_demonstration_plays_on_the_running_consortium(consortium: Consortium, tmp_path: Path) -> None:
    played = run("gateway.demo", "--ledger", "fabric", "--network", str(consortium.directory), "--dir", str(tmp_path))
    assert played.returncode == 0, played.stdout[-6000:] + played.stderr[-2000:]
    assert "Playing on the containers" in played.stdout
    assert "Every step came out as it should" in played.stdout
