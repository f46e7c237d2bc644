# SPDX-License-Identifier: Apache-2.0
"""The embedded network may have as many files open as its clients can take up, or says that it may not."""

import asyncio
import resource
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from network import running
from network.admission import Admission
from network.openfiles import allow_files
from network.topology import default_topology

SetLimit = Callable[[int], int]


@pytest.fixture
def set_limit() -> Iterator[SetLimit]:
    """Sets this process's soft limit and answers the hard one; what was there before comes back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def change(files: int) -> int:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        return hard

    yield change
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def soft_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_network_that_runs_has_raised_its_limit(
    set_limit: SetLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(serving: Coroutine[Any, Any, None]) -> None:
        serving.close()
        seen.append(soft_limit())

    monkeypatch.setattr(asyncio, "run", run)
    hard = set_limit(300)
    running.run_embedded(default_topology(any_port=True), tmp_path, lambda _: None, Admission(False, 16))
    wanted = 8 * 16 + 512
    assert seen == [wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)]


def test_a_higher_limit_stays(set_limit: SetLimit) -> None:
    set_limit(900)
    allow_files(16)
    assert soft_limit() == 900


def test_a_limit_that_is_too_low_is_logged(
    set_limit: SetLimit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_limit(300)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 400))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    allow_files(512)
    assert caplog.messages == [
        "at most 400 files may be open here; 1024 are needed for one address with all its connections"
    ]
