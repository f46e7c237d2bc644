# SPDX-License-Identifier: Apache-2.0
"""Other organisations' chaincode processes killed under load, and the ordering service stopped, on either ledger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.demo.consortium import Consortium
from gateway.demo.founding import found
from gateway.demo.processes import Program

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shaken(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """A consortium whose programs may be killed."""
    running = Consortium(tmp_path_factory.mktemp("shaken"), ledger, any_port=True)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def founded(shaken: Consortium) -> Consortium:
    found(shaken)
    return shaken


@pytest.fixture
def gateway(founded: Consortium, new_gateway: Callable[..., Any]) -> Any:
    return new_gateway(founded).start()


@pytest.fixture
def recorded(founded: Consortium, registrations: Callable[..., Any], prefix: str) -> Callable[[], list[Any]]:
    return lambda: [one for one in registrations(founded.network()) if one.model.startswith(f"{prefix}-")]


def chaincode(consortium: Consortium, organisation: str) -> Program:
    return next(one for one in consortium._programs if one.name == f"chaincode-{organisation}")


def run(load: Any, gateway: Any, prefix: str, each: int, trouble: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        troubled = pool.submit(trouble)
        load.run([gateway.target], clients=8, each=each, prefix=prefix, timeout=120.0)
        troubled.result()


def told(load: Any, report: Any) -> set[int]:
    times = sorted(one.seconds for one in load.exchanges)
    statuses = {one.status for one in load.exchanges}
    codes = sorted({one.code for one in load.exchanges} - {""})
    report(
        f"{len(load.acknowledged)} recorded in {load.seconds:.1f} s, statuses {sorted(statuses)} {codes}, "
        f"p50 {times[len(times) // 2] * 1000:.0f} ms, longest {times[-1]:.1f} s"
    )
    return statuses


def test_one_organisation_without_its_chaincode_is_not_missed(
    founded: Consortium, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    def trouble() -> None:
        time.sleep(1)
        chaincode(founded, "hospital").kill()
        time.sleep(3)
        chaincode(founded, "hospital").start()

    run(load, gateway, prefix, 30, trouble)
    assert told(load, report) == {201}
    assert len(load.acknowledged) == 240
    load.judge(recorded())


def test_without_enough_chaincodes_clients_are_told_which_and_come_back(
    founded: Consortium, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    bodies: list[dict[str, Any]] = []

    def trouble() -> None:
        time.sleep(1)
        for name in ("hospital", "regulator"):
            chaincode(founded, name).kill()
        time.sleep(1)
        answer = httpx.post(
            f"{gateway.url}/v1/models",
            json={"model": f"{prefix}-alone", "title": "Alone"},
            headers={"Authorization": f"Bearer {gateway.key}", "Idempotency-Key": f"{prefix}-alone"},
            timeout=30,
        )
        bodies.append({**answer.json(), "retry": answer.headers.get("Retry-After")})
        time.sleep(2)
        for name in ("hospital", "regulator"):
            chaincode(founded, name).start()

    run(load, gateway, prefix, 12, trouble)
    assert told(load, report) == {201, 503}
    assert len(load.acknowledged) == 96
    load.judge([one for one in recorded() if not one.model.endswith("-alone")])
    (body,) = bodies
    assert body["status"] == 503
    # Fabric says at once which process does not answer; the embedded network goes on trying until the call is over.
    assert body["code"] in {"chaincode-unavailable", "endorsers-unavailable", "peer-timeout"}
    assert body["retry"] is not None
    if body["code"] == "chaincode-unavailable":
        assert set(body["facts"]["organisations"]) <= {"HospitalMSP", "RegulatorMSP"}
    assert not [one for one in recorded() if one.model == f"{prefix}-alone"]


@pytest.mark.fabric
def test_ordering_that_stops_delays_and_loses_nothing(
    ledger: str, founded: Consortium, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    if ledger != "fabric":
        pytest.skip("the embedded network orders in the process that delivers too; test_kills.py stops that one")
    orderers = [
        int(path.read_text(encoding="utf-8").split()[0]) for path in (founded.directory / "run").glob("orderer*.pid")
    ]
    reads: list[int] = []
    key = {"Authorization": f"Bearer {gateway.key}"}

    def trouble() -> None:
        time.sleep(2)
        for pid in orderers:
            os.kill(pid, signal.SIGSTOP)
        for _ in range(12):
            time.sleep(1)
            reads.append(httpx.get(f"{gateway.url}/v1/models", headers=key, timeout=5).status_code)
        for pid in orderers:
            os.kill(pid, signal.SIGCONT)

    run(load, gateway, prefix, 30, trouble)
    assert told(load, report) <= {201, 202}
    assert reads == [200] * 12
    assert len(load.acknowledged) == 240
    load.judge(recorded())
