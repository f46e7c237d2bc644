# SPDX-License-Identifier: Apache-2.0
"""A channel in memory, and evidence of what is in its blocks."""

from pathlib import Path
from typing import Any

import pytest
from sampleorder import SampleChannel


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture
def channel(directory: Path) -> SampleChannel:
    return SampleChannel(directory)


@pytest.fixture(scope="module")
def genuine(directory: Path) -> tuple[SampleChannel, dict[str, Any]]:
    """A channel that was changed once, and evidence of the second transaction of a later block."""
    found = SampleChannel(directory)
    found.reconfigure(lambda _: None)
    number = found.add(*(found.envelope(found.draft()) for _ in range(3)))
    return found, found.evidence(number, 1)
