# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: requests under way are answered, or found final by their operation after the next start; then it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.demo.processes import StartFailed

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

Blocks = Callable[[], Any]
Report = Callable[[str], None]

pytestmark = [pytest.mark.timeout(180)]

GRACE = 15.0
IDLE = 5.0


def test_an_idle_gateway_ends_at_once_whatever_is_connected(lone: LoneGateway, report: Report) -> None:
    lone.start()
    with ExitStack() as guard:
        for _ in range(20):
            guard.enter_context(socket.create_connection(("127.0.0.1", lone.port)))
        kept = [guard.enter_context(lone.client()) for _ in range(20)]
        for client in kept:
            client.ledger()
        half = guard.enter_context(socket.create_connection(("127.0.0.1", lone.port)))
        half.sendall(b"GET /v1/ledger HTTP/1.1\r\nHost:")
        time.sleep(0.3)
        took = lone.terminate(within=60)
    report(f"ended in {took:.1f} s with 20 silent, 20 kept and one unfinished connection")
    assert took < IDLE
    assert "Traceback" not in lone.log()


def test_a_gateway_under_load_answers_what_it_began_and_ends(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, report: Report
) -> None:
    lone.start()
    total = 50 * 4
    work = threading.Thread(target=load.run, args=([lone.target],), kwargs={"clients": 50, "each": 4, "prefix": prefix})
    work.start()
    while len(load.acknowledged) < total // 4:
        time.sleep(0.005)
    took = lone.terminate(within=60)
    answered = len(load.acknowledged)
    lone.start()
    work.join()
    report(f"ended in {took:.1f} s after {answered} of {total}, {load.unanswered} unanswered requests")
    assert took < GRACE
    assert "Traceback" not in lone.log()
    assert (len(load.acknowledged), load.refused) == (total, {})
    load.judge(blocks())


def test_promised_submissions_survive_the_stop_and_reach_their_end(
    lone: LoneGateway, blocks: Blocks, prefix: str
) -> None:
    lone.start()
    promised = {}
    with lone.client() as client:
        for number in range(30):
            promised[f"{prefix}-{number}"] = _promise(lone, f"{prefix}-{number}")
        lone.terminate(within=60)
        lone.start()
        deadline = time.monotonic() + 30
        for operation in promised.values():
            while client.operation(operation)["state"] == "pending" and time.monotonic() < deadline:
                time.sleep(0.05)
            assert client.operation(operation)["state"] == "succeeded"
    entries = blocks()
    assert sorted(entry.model for entry in entries if entry.code == 0) == sorted(promised)


def _promise(lone: LoneGateway, model: str) -> str:
    answer = httpx.post(
        f"{lone.url}/v1/models",
        json={"model": model, "title": "Promised"},
        headers={"Authorization": f"Bearer {lone.key}", "Idempotency-Key": model, "Prefer": "respond-async"},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/operations/{answer.json()['operation']}"
    return str(answer.json()["operation"])


def test_a_gateway_that_cannot_listen_ends_and_says_why(lone: LoneGateway) -> None:
    with (
        socket.create_server(("127.0.0.1", lone.health_port)),
        pytest.raises(StartFailed, match=r"cannot listen on .*health-port"),
    ):
        lone.start()
