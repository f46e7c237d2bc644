# SPDX-License-Identifier: Apache-2.0
"""Clients that open connections and do not finish their requests: they cost others nothing, and are let go in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

Hold = Callable[[bytes, int], list[socket.socket]]
Report = Callable[[str], None]

pytestmark = [pytest.mark.timeout(180)]

HEALTH_BOUND = 1.0
"""Seconds; the promise is 0.1 on a machine that has nothing else to do."""
API_BOUND = 3.0
LET_GO = 30.0
"""Seconds until an unfinished request must have been closed."""

SILENT = b""
SLOW_HEAD = b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"
SLOW_BODY = (
    b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nIdempotency-Key: slow\r\n"
    b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
)


@pytest.fixture
def hold(lone: LoneGateway) -> Iterator[Hold]:
    """Opens connections to the gateway and sends the beginning of a request on each."""
    with ExitStack() as guard:

        def open_(beginning: bytes, count: int) -> list[socket.socket]:
            held = [
                guard.enter_context(socket.create_connection(("127.0.0.1", lone.port), timeout=5)) for _ in range(count)
            ]
            for one in held:
                one.sendall(beginning)
            time.sleep(0.3)
            return held

        yield open_


def test_unfinished_requests_hide_neither_health_nor_the_api(
    lone: LoneGateway, load: Load, hold: Hold, prefix: str, report: Report
) -> None:
    lone.start("--in-flight", "32")  # and so with fewer threads than there are slow clients
    silent, slow = hold(SILENT, 200), hold(SLOW_HEAD, 200)
    slow += hold(SLOW_BODY % lone.key.encode(), 40)
    with httpx.Client(timeout=10) as probe:
        probe.get(f"{lone.health}/healthz")
        health = max(_timed(partial(probe.get, f"{lone.health}/healthz")) for _ in range(10))
    with lone.client(timeout=10) as client:
        reading = max(_timed(client.ledger) for _ in range(10))
        recording = max(_timed(partial(load.record, client, f"{prefix}-{number}")) for number in range(5))
    held = len(silent) + len(slow)
    report(
        f"{held} held; worst health {health * 1000:.0f}, read {reading * 1000:.0f}, record {recording * 1000:.0f} ms"
    )
    assert len(load.acknowledged) == 5
    assert health < HEALTH_BOUND
    assert max(reading, recording) < API_BOUND
    assert _all_closed([*slow, *silent], within=LET_GO)


def test_a_head_that_comes_in_pieces_is_answered(lone: LoneGateway, hold: Hold) -> None:
    lone.start()
    (one,) = hold(b"GET /v1/led", 1)
    for piece in (b"ger HTTP/1.1\r\nHost: localhost\r\n", f"Authorization: Bearer {lone.key}\r\n".encode(), b"\r\n"):
        one.sendall(piece)
        time.sleep(0.3)
    assert one.recv(65536).startswith(b"HTTP/1.1 200 ")


def _timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _all_closed(held: list[socket.socket], within: float) -> bool:
    deadline = time.monotonic() + within
    for one in held:
        one.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            while one.recv(4096):
                pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            pass
    return True
