# SPDX-License-Identifier: Apache-2.0
"""Signals that the main thread hears of between its other work."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from network.native.network import Signalled


@pytest.fixture
def usual() -> Iterator[Signalled]:
    before = signal.getsignal(signal.SIGUSR1)
    yield Signalled(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_signals_count_until_they_are_seen(usual: Signalled) -> None:
    assert not usual.take()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert usual.take()
    assert not usual.take()


def test_waiting_ends_with_a_signal_or_its_time(usual: Signalled) -> None:
    assert not usual.wait(0.01)
    threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)).start()
    started = time.monotonic()
    assert usual.wait(30)
    assert time.monotonic() - started < 20
