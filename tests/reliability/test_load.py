# SPDX-License-Identifier: Apache-2.0
"""A thousand submissions at once: none lost, none doubled, the excess refused in time and repeated by its senders."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

Blocks = Callable[[], Any]
Report = Callable[[str], None]
LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"

pytestmark = [pytest.mark.timeout(300)]

CLIENTS = 50
PROMPT, BOUND = "0.1", "0.5"
"""Seconds in which the gateway itself sees a refusal through: what is promised, and what a busy machine must keep."""
REFUSED = (429, 503)
"""A client that has its share, and a gateway that is full."""
BURST = 1000 if LONG else 400


@pytest.mark.parametrize(("in_flight", "each"), [(256, 20), (16, 20 if LONG else 6)])
def test_submissions_from_fifty_clients_are_recorded_once_each(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, in_flight: int, each: int, report: Report
) -> None:
    lone.start("--in-flight", str(in_flight))
    load.run([lone.target], clients=CLIENTS, each=each, prefix=prefix)
    entries = blocks()
    load.judge(entries)
    assert (len(load.acknowledged), load.refused) == (CLIENTS * each, {})
    assert len(entries) == CLIENTS * each  # not even an invalid second copy was ordered
    assert load.unanswered == 0
    refusals = load.capacity
    assert bool(refusals) == (in_flight < CLIENTS)
    assert all(one.status in REFUSED and one.retry_after for one in refusals)
    report(_figures(load, lone))
    assert refused_within(lone, BOUND) >= 0.95


def test_requests_in_the_same_moment_are_answered_or_refused_in_time(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, report: Report
) -> None:
    in_flight = 64
    lone.start("--in-flight", str(in_flight))
    models = [f"{prefix}-{number}" for number in range(BURST)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        barrier = threading.Barrier(CLIENTS)
        slices = [models[number::CLIENTS] for number in range(CLIENTS)]
        answers = dict(pair for found in pool.map(lambda own: _burst(lone, own, barrier), slices) for pair in found)
    seconds = time.perf_counter() - began
    recorded = [model for model, (status, _) in answers.items() if status == 201]
    refused = [model for model, (status, _) in answers.items() if status in REFUSED]
    assert len(recorded) + len(refused) == len(models), answers
    assert len(recorded) >= in_flight * 3 // 4  # all have one token, so one client's share (gateway.services.shares)
    assert refused
    assert all(headers["Retry-After"] for status, headers in answers.values() if status in REFUSED)
    report(f"{len(recorded)} recorded and {len(refused)} refused in {seconds:.1f} s, "
           f"share refused within {PROMPT} s {refused_within(lone, PROMPT):.3f}")  # fmt: skip
    assert {entry.model for entry in blocks()} == set(recorded)
    assert refused_within(lone, BOUND) >= 0.95
    with lone.client() as client:  # the refused keys are free, and the recorded ones answer as they did
        for model in [*refused[:40], *recorded[:40]]:
            load.record(client, model)
    assert sum(one.replayed for one in load.acknowledged.values()) == min(40, len(recorded))
    load.judge(blocks())
    assert not load.refused


def _burst(
    lone: LoneGateway, models: Sequence[str], barrier: threading.Barrier
) -> list[tuple[str, tuple[int, Mapping[str, str]]]]:
    """Send every request before the first answer is read."""
    sent = []
    barrier.wait()
    for model in models:
        connection = http.client.HTTPConnection("127.0.0.1", lone.port, timeout=60)
        headers = {"Authorization": f"Bearer {lone.key}", "Idempotency-Key": f"key-{model}"}
        body = json.dumps({"model": model, "title": "Load"})
        connection.request("POST", "/v1/models", body, {**headers, "Content-Type": "application/json"})
        sent.append((model, connection))
    found = []
    for model, connection in sent:
        answer = connection.getresponse()
        answer.read()
        found.append((model, (answer.status, dict(answer.getheaders()))))
        connection.close()
    return found


def _figures(load: Load, lone: LoneGateway) -> str:
    waited = [one.seconds for one in load.exchanges if one.status == 201]
    refused = [one.seconds for one in load.capacity] or [0.0]
    return (
        f"{len(load.acknowledged)} in {load.seconds:.1f} s = {len(load.acknowledged) / load.seconds:.0f}/s, "
        f"201 p50 {statistics.median(waited) * 1000:.0f} ms max {max(waited) * 1000:.0f} ms, "
        f"{len(load.capacity)} refusals as seen by clients p50 {statistics.median(refused) * 1000:.0f} ms "
        f"max {max(refused) * 1000:.0f} ms, share within {PROMPT} s in the gateway {refused_within(lone, PROMPT):.3f}"
    )


def refused_within(lone: LoneGateway, bound: str) -> float:
    """Share of the refusals that took the gateway at most `bound` seconds, by its own histogram."""
    counts = {bound: 0.0, "+Inf": 0.0}
    statuses = tuple(f'status="{status}"' for status in REFUSED)
    for line in httpx.get(f"{lone.health}/metrics").text.splitlines():
        if line.startswith("pedigree_request_seconds_bucket") and any(status in line for status in statuses):
            edge = line.split('le="')[1].split('"')[0]
            if edge in counts:
                counts[edge] += float(line.rsplit(" ", 1)[1])
    return counts[bound] / counts["+Inf"] if counts["+Inf"] else 1.0
