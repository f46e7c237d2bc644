# SPDX-License-Identifier: Apache-2.0
"""Fuzzing by seed: every round is drawn from one number, so that what it found can be drawn again.

`--fuzz-seconds` (or `PEDIGREE_FUZZ_SECONDS`) says how long each fuzzer runs. Numbers that found something once stand in
`seeds/NAME.txt`, one a line, and are replayed first, whatever the time; a round that fails prints its number.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_SEEDS = Path(__file__).with_name("seeds")


class Fuzzing:
    """Rounds of one fuzzer: the kept seeds, then fresh ones until its time is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.seed = 0
        self.count = 0

    def rounds(self, name: str) -> Iterator[random.Random]:
        """Sources of chance, one for each round; `name` is that of the file with the kept seeds."""
        for seed in self._seeds(name):
            self.seed = seed
            self.count += 1
            yield random.Random(seed)

    def _seeds(self, name: str) -> Iterator[int]:
        file = _SEEDS / f"{name}.txt"
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            if line.strip() and not line.startswith("#"):
                yield int(line.split("#")[0])
        # Continuous integration repeats itself: what is found by chance is found by people, who keep its seed.
        fresh = random.Random(name) if os.environ.get("CI") == "true" else random.SystemRandom()
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            yield fresh.getrandbits(48)


@pytest.fixture
def fuzzing(pytestconfig: pytest.Config) -> Iterator[Fuzzing]:
    """Rounds for as long as this run is to fuzz; the last seed is printed, for a round that fails."""
    found = Fuzzing(pytestconfig.getoption("--fuzz-seconds"))
    yield found
    print(f"{found.count} rounds; the last one's seed is {found.seed}")
