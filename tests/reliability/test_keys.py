# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys as applications use them, on running programs: F4 and read-your-writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

    from gateway.demo.consortium import Consortium

Blocks = Callable[[], Any]
Report = Callable[[str], None]
Post = Callable[..., httpx.Response]

pytestmark = [pytest.mark.timeout(180)]

AT_ONCE = 20


@contextmanager
def posting(url: str, key: str) -> Iterator[Post]:
    """Sends registrations of models to a gateway."""
    with httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {key}"}) as client:

        def send(model: str, key: str | None, title: str = "Keys", **headers: str) -> httpx.Response:
            if key is not None:
                headers["Idempotency-Key"] = key
            return client.post("/v1/models", json={"model": model, "title": title}, headers=headers)

        yield send


@pytest.fixture
def post(consortium: Consortium, issue_key: Callable[[Path], str]) -> Iterator[Post]:
    """Registers models at the lab's own gateway, as a client whose keys are free."""
    with posting(consortium.url("lab"), issue_key(consortium.directory / "gateways" / "lab")) as send:
        yield send


def test_the_same_request_twenty_times_at_once_is_executed_once(post: Post, blocks: Blocks, prefix: str) -> None:
    barrier = threading.Barrier(AT_ONCE)

    def send(_: int) -> httpx.Response:
        barrier.wait()
        return post(f"{prefix}-same", "one-key")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, range(AT_ONCE)))
    told = [answer for answer in answers if answer.status_code == 201]
    asked_to_wait = [answer for answer in answers if answer.status_code == 409]
    assert len(told) + len(asked_to_wait) == AT_ONCE
    assert {answer.json()["code"] for answer in asked_to_wait} <= {"in-progress"}
    assert len({answer.text for answer in told}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in told) == 1
    assert len(blocks()) == 1


def test_a_key_names_one_request(post: Post, blocks: Blocks, prefix: str) -> None:
    first = post(f"{prefix}-first", "a-key")
    assert first.status_code == 201
    for model, title in ((f"{prefix}-second", "Keys"), (f"{prefix}-first", "Other")):
        other = post(model, "a-key", title)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert post(f"{prefix}-first", "a-key").text == first.text
    assert len(blocks()) == 1


@pytest.mark.parametrize("key", [None, "", "two words", "k" * 201])
def test_a_request_without_a_usable_key_reaches_no_ledger(
    post: Post, blocks: Blocks, prefix: str, key: str | None
) -> None:
    answer = post(f"{prefix}-keyless", key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert blocks() == []


def test_a_key_answers_the_same_after_a_restart(lone: LoneGateway, blocks: Blocks, prefix: str) -> None:
    lone.start()
    with posting(lone.url, lone.key) as post:
        recorded = post(f"{prefix}-kept", "kept")
        refused = post(f"{prefix}-kept", "again")
        assert (recorded.status_code, refused.status_code) == (201, 409)
    lone.kill()
    lone.start()
    with posting(lone.url, lone.key) as post:
        for before, key in ((recorded, "kept"), (refused, "again")):
            after = post(f"{prefix}-kept", key)
            assert (after.status_code, after.json()) == (before.status_code, before.json())
            # That a refusal was given need not have reached the disk; then it is given again.
            assert after.headers.get("Idempotent-Replayed") == "true" or key == "again"
    assert len(blocks()) == 1


def test_a_write_is_read_on_every_other_gateway_at_once(consortium: Consortium, prefix: str, report: Report) -> None:
    names = list(consortium.ports)
    clients = {name: consortium.client(name) for name in names}
    waits = []
    try:
        for number in range(100):
            writer, reader = clients[names[number % 3]], clients[names[(number + 1) % 3]]
            recorded = writer.register_model(f"{prefix}-{number}", title="Mine")
            reader.at_least(recorded.height)
            began = time.perf_counter()
            found = reader.model(f"{prefix}-{number}")
            waits.append(time.perf_counter() - began)
            assert found["record"] == recorded.record
    finally:
        for client in clients.values():
            client.close()
    report(f"100 of 100 read on another gateway, longest wait {max(waits) * 1000:.0f} ms")
