# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway around its audit log: what was answered as refused is in it, and the ledger has one chain."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.demo.consortium import Consortium
from gateway.services.auditlog import BURST
from pedigree import Conflict, Pedigree, PedigreeError, verify_audit_log

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(300)]

Report = Callable[[str], None]
THREADS = 8
KILLER = '''
"""Ends the whole gateway with SIGKILL at one line, once, where the file that arms it is there."""
import os, signal
from pathlib import Path

def armed(point):
    try:
        Path(os.environ["KILL_AT"], point).unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgid(0), signal.SIGKILL)

from gateway.stores.auditlog import AuditLogStore
from gateway.ledger import FabricLedger

def around(kind, name, before, after, when=lambda *_: True):
    original = getattr(kind, name)
    def wrapped(*given, **named):
        if not when(*given):
            return original(*given, **named)
        armed(before)
        found = original(*given, **named)
        armed(after)
        return found
    setattr(kind, name, wrapped)

around(AuditLogStore, "append", "noted", "kept")
around(AuditLogStore, "keep_anchor", "intended", "written", lambda _, anchor: anchor.transaction_id is None)
around(FabricLedger, "submit", "endorsed", "ordered")
around(AuditLogStore, "keep_anchor", "committed", "confirmed", lambda _, anchor: anchor.transaction_id is not None)
'''


@pytest.fixture
def gateway(lone: LoneGateway, tmp_path: Path) -> LoneGateway:
    """A gateway that ends where a file says so."""
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (tmp_path / "armed").mkdir()
    lone.environment = {"PYTHONPATH": str(tmp_path / "killer"), "KILL_AT": str(tmp_path / "armed")}
    return lone.start()


def refused(gateway: LoneGateway, count: int = 1, found: list[str] | None = None) -> list[str]:
    """Be refused for want of a key so many times; the ids of the refusals that were answered, put into `found`."""
    found = [] if found is None else found
    with httpx.Client(base_url=gateway.url, timeout=10) as client, suppress(httpx.HTTPError):
        for _ in range(count):
            answer = client.get("/v1/models")
            assert answer.status_code == 401
            found.append(answer.headers["Request-Id"])
    return found


def judged(gateway: LoneGateway, client: Pedigree, folder: Path) -> list[Any]:
    """The entries of the log, once all of it is anchored and agrees with the ledger."""
    deadline = time.monotonic() + 60
    while True:
        # Nothing may be new, or the gateway be at it already: that this is refused is an entry, which is new.
        with suppress(Conflict):
            client.anchor_audit()
        path = client.save_audit_log(folder / "audit.jsonl")
        verdict = verify_audit_log(path, client.iterate_audit_anchors(owner="LabMSP"))
        if verdict.anchored == verdict.entries:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "point", ["noted", "kept", "intended", "written", "endorsed", "ordered", "committed", "confirmed"]
)
def test_a_log_goes_on_from_where_it_was_killed(gateway: LoneGateway, tmp_path: Path, point: str) -> None:
    answered = refused(gateway, 3)
    with gateway.client() as client:
        client.anchor_audit()
    answered += refused(gateway, 2)
    (tmp_path / "armed" / point).touch()
    program = gateway.program
    assert program is not None
    assert program.process is not None
    answered += refused(gateway)
    with gateway.client(timeout=0.5) as client, suppress(PedigreeError):
        client.anchor_audit(idempotency_key=point)
    assert program.process.wait(30) == -signal.SIGKILL
    program.kill()
    gateway.start()
    answered += refused(gateway)
    with gateway.client() as client:
        entries = judged(gateway, client, tmp_path)
    noted = [entry["request"] for entry in entries if entry["code"] == "unauthenticated"]
    assert [each for each in noted if each in set(answered)] == answered
    assert len(noted) - len(answered) == (point == "kept")


def test_whatever_moment_it_is_killed_every_answered_refusal_is_kept(
    lone: LoneGateway, tmp_path: Path, report: Report
) -> None:
    lone.start("--audit-interval", "1")
    answered: list[str] = []

    def work() -> None:
        refused(lone, (BURST - 40) // THREADS, answered)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    share = random.randrange(10, 150)
    until = time.monotonic() + 60
    while len(answered) < share:
        assert time.monotonic() < until
        time.sleep(0.001)
    lone.kill()
    for thread in threads:
        thread.join()
    killed = time.perf_counter()
    lone.start("--audit-interval", "1")
    back = time.perf_counter() - killed
    refused(lone)
    with lone.client() as client:
        entries = judged(lone, client, tmp_path)
    noted = [entry["request"] for entry in entries]
    assert set(answered) <= set(noted)
    report(f"{len(answered)} refusals answered, {len(entries)} entries, ready again in {back:.1f} s")


def test_a_log_that_was_cut_is_found_by_its_own_gateway_and_by_others(
    lone: LoneGateway, consortium: Consortium, tmp_path: Path
) -> None:
    lone.start()
    refused(lone, 5)
    lone.copy_of("audit")
    refused(lone, 5)
    with lone.client() as client:
        client.anchor_audit()
    lone.kill()
    lone.roll_back("audit")
    lone.start()
    refused(lone, 2)
    with lone.client(timeout=5) as client:
        path = client.save_audit_log(tmp_path / "audit.jsonl")
        with pytest.raises(PedigreeError):
            client.anchor_audit()
    with consortium.client("hospital") as other, pytest.raises(PedigreeError, match="entry 8 is missing"):
        verify_audit_log(path, other.iterate_audit_anchors(owner="LabMSP"))
