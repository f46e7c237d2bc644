# SPDX-License-Identifier: Apache-2.0
"""Approvals that lost their quorum, and what must stop for it, over a real read model and at every height."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordkeys import written

from chaincode.domain.values import Ref
from gateway.services import approvals as module
from gateway.services.approvals import Approvals
from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore

NET, WARD, DIGEST, DAY = "model-version:net:1", "deployment:ward-3", "ab" * 32, 86_400_000
MEMBERS = ("HospitalMSP", "LabMSP", "RegulatorMSP")
RULE = {"artifact_kind": "model-version", "threshold": 1, "stage": "approved"}
STAGE = {"kind": "artifact-stage", "artifact": NET, "owner": "LabMSP", "digest": DIGEST, "since": 1, "round": 1}
APPROVED = {**STAGE, "stage": "approved"}
FALLEN = {**STAGE, "stage": "submitted", "lost_at": 2}
WORD = {
    "kind": "endorsement", "artifact": NET, "stage": "approved", "by": "HospitalMSP", "at": 0, "round": 1, "policy": 1,
    "envelope": {"payload": "", "payloadType": "t", "signatures": []}, "expires_at": 30 * DAY,
}  # fmt: skip


def policy(number: int = 1, **rule: Any) -> dict[str, Any]:
    return {
        "kind": "policy", "number": number, "set_at": 1, "amendment_threshold": 2, "amendment_roles": [],
        "members": [{"organisation": each, "roles": []} for each in MEMBERS], "rules": [{**RULE, **rule}],
    }  # fmt: skip


def deployment(name: str = "ward-3", version: str = NET) -> dict[str, Any]:
    return {"kind": "deployment", "deployment": name, "owner": "HospitalMSP", "version": version, "location": "a ward"}


def end(name: str = "ward-3") -> dict[str, Any]:
    return {"kind": "deployment-end", "deployment": name, "owner": "HospitalMSP", "ended": 5}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ReadModelStore]:
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    yield ReadModelStore(database)
    database.close()


def append(model: ReadModelStore, *records: dict[str, Any]) -> None:
    """One block with these records."""
    number = model.height()
    writes = tuple(written({"schema": 1, **record}) for record in records)
    done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, writes)
    model.apply(LedgerBlock(number, f"{number + 1:02x}", f"{number:02x}" if number else "", (done,)))


STOP = policy(on_quorum_lost="stop")


def test_what_is_lost_and_what_must_stop_is_as_of_a_height_and_a_time(model: ReadModelStore) -> None:
    append(model, STOP)
    append(model, APPROVED, WORD)
    append(model, deployment())
    append(model, FALLEN, {**WORD, "withdrawn_at": 2, "reason": "x"})
    append(model, {**STAGE, "stage": "approved"}, {**WORD, "at": 3})
    append(model, end())
    append(model, FALLEN)
    approvals, ward = Approvals(model), Ref(WARD)
    lost = {at: approvals.lost(Ref(NET), at, DAY) for at in range(1, 8)}
    assert lost == {1: False, 2: False, 3: False, 4: True, 5: False, 6: False, 7: True}
    must = {at: approvals.must_stop(ward, at, DAY) for at in range(1, 8)}
    assert must == {1: False, 2: False, 3: False, 4: True, 5: False, 6: False, 7: False}
    assert [approvals.must_stop(ward, 5, days * DAY) for days in (29, 30)] == [False, True]
    assert not approvals.lost(Ref("run:r-1"), 7, DAY)


def test_what_the_policy_only_notes_stops_nothing(model: ReadModelStore) -> None:
    append(model, policy(), FALLEN, WORD, deployment())
    approvals = Approvals(model)
    assert approvals.lost(Ref(NET), 1, DAY)
    assert not approvals.must_stop(Ref(WARD), 1, DAY)
    assert approvals.of_deployment(deployment(), DAY, ended=False) == {"quorum_lost": True, "duty": None}
    assert approvals.due("HospitalMSP", DAY) == ([], True)
    append(model, policy(2, on_quorum_lost="stop"))
    assert approvals.of_deployment(deployment(), DAY, ended=False) == {"quorum_lost": True, "duty": "must-stop"}
    assert approvals.of_deployment(deployment(), DAY, ended=True) == {"quorum_lost": True, "duty": None}
    assert (approvals.must_stop(Ref(WARD), 1, DAY), approvals.must_stop(Ref(WARD), 2, DAY)) == (False, True)


def test_without_a_policy_nothing_is_lost(model: ReadModelStore) -> None:
    append(model, FALLEN, deployment())
    assert not Approvals(model).lost(Ref(NET), 1, DAY)
    assert Approvals(model).due("HospitalMSP", DAY) == ([], True)


def test_a_deployer_hears_of_all_that_must_stop_and_of_nothing_else(
    model: ReadModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"w-{number:03}" for number in range(230)]
    append(model, STOP, FALLEN, *(deployment(name) for name in names), deployment("other", "model-version:tree:1"))
    append(model, *(end(name) for name in names[::2]), {**deployment("theirs"), "owner": "LabMSP"})
    due, complete = Approvals(model).due("HospitalMSP", DAY)
    assert [each["deployment"] for each in due] == [f"deployment:{name}" for name in names[1::2]]
    assert (due[0], complete) == ({"deployment": "deployment:w-001", "version": NET, "duty": "must-stop"}, True)
    monkeypatch.setattr(module, "MOST_RUNNING", 10)
    some, complete = Approvals(model).due("HospitalMSP", DAY)
    assert (len(some), complete) == (10, False)
