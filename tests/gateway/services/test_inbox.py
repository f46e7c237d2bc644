# SPDX-License-Identifier: Apache-2.0
"""The inbox's filters and its count, over a real read model."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordkeys import written

from gateway.services import artifacts as module
from gateway.services.artifacts import Artifacts, Speaker
from gateway.services.catalogue import Catalogue
from gateway.services.filters import InvalidParameter
from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore

DIGEST = "ab" * 32
RULE = {"threshold": 2, "stage": "approved"}
POLICY = {
    "kind": "policy", "schema": 1, "number": 1, "set_at": 1, "amendment_threshold": 2, "amendment_roles": [],
    "members": [{"organisation": each, "roles": []} for each in ("HospitalMSP", "LabMSP", "RegulatorMSP")],
    "rules": [{"artifact_kind": kind, **RULE} for kind in ("model-version", "dataset-version")],
}  # fmt: skip
OPEN = (
    ("model-version:net:1", "LabMSP", "submitted"),
    ("dataset-version:nets:1", "HospitalMSP", "endorsed"),
    ("model-version:tree:1", "HospitalMSP", "submitted"),
    ("model-version:mine:1", "RegulatorMSP", "submitted"),
    ("model-version:net:2", "LabMSP", "approved"),
    ("model-version:net:3", "LabMSP", "quarantined"),
    ("model-version:tree:2", "LabMSP", "submitted"),
)
"""What has a stage, in the order of days; the last but one lapses before it is asked for."""
TREES = ["model-version:tree:1", "model-version:tree:2"]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Artifacts]:
    """The regulator's."""
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    records: list[dict[str, Any]] = [POLICY]
    for artifact, owner, stage in OPEN:
        standing = {"artifact": artifact, "owner": owner, "digest": DIGEST, "stage": stage, "since": 1, "round": 1}
        if stage == "quarantined":
            standing |= {"quarantined_from": "submitted", "quarantined_by": "HospitalMSP", "lapses_at": 5_000}
        records.append({"kind": "artifact-stage", "schema": 1, **standing})
    for number, record in enumerate(records):
        at = f"2026-01-{number + 1:02}T00:00:00Z"
        done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", at, None, (written(record),))
        model.apply(LedgerBlock(number, f"{number + 1:02x}", f"{number:02x}" if number else "", (done,)))
    speaker = Speaker("RegulatorMSP", "pedigree", "00" * 32)
    yield Artifacts(None, Catalogue(model), None, speaker, lambda: 5.0)  # type: ignore[arg-type]
    database.close()


def awaiting(inbox: Artifacts, **filters: str) -> list[str]:
    """What is in all pages, each of at most one item; every page counts the whole list."""
    found: list[str] = []
    cursor = None
    while True:
        page = inbox.inbox(cursor=cursor, limit=1, filters=filters)
        found += [item["artifact"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    whole = inbox.inbox(limit=50, filters=filters)
    assert [item["artifact"] for item in whole["items"]] == found
    assert (page["count"], page["count_exact"]) == (whole["count"], whole["count_exact"]) == (len(found), True)
    return found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["model-version:net:1", "dataset-version:nets:1", TREES[0], "model-version:net:3", TREES[1]]),
        ({"kind": "dataset-version"}, ["dataset-version:nets:1"]),
        ({"kind": "training-run"}, []),
        ({"owner": "LabMSP"}, ["model-version:net:1", "model-version:net:3", "model-version:tree:2"]),
        ({"name": "net"}, ["model-version:net:1", "model-version:net:3", "dataset-version:nets:1"]),
        ({"name": "nets"}, ["dataset-version:nets:1"]),
        ({"name": "tree", "owner": "HospitalMSP"}, ["model-version:tree:1"]),
        ({"since": "2026-01-03", "before": "2026-01-07"}, ["dataset-version:nets:1", "model-version:tree:1"]),
        ({"since": "2026-01-04", "kind": "model-version", "name": "t"}, TREES),
    ],
)  # fmt: skip
def test_the_inbox_is_filtered_and_counted(inbox: Artifacts, filters: dict[str, str], found: list[str]) -> None:
    assert awaiting(inbox, **filters) == found


def test_a_count_looks_at_a_bounded_number_and_says_so(inbox: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COUNTED", 3)
    page = inbox.inbox(limit=1)
    assert (page["count"], page["count_exact"]) == (3, False)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [("kind", "artifact-stage", "kind: it must be one of dataset, "), ("owner", "A B", "owner: it must be an MSP id"),
     ("name", "N", "name: it must be the beginning of a name"), ("before", "2026-13-01", "before: it must be an")],
)  # fmt: skip
def test_a_filter_that_cannot_be_understood_is_named(inbox: Artifacts, name: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason):
        inbox.inbox(filters={name: text})
    with pytest.raises(InvalidParameter, match="cursor"):
        inbox.inbox(cursor=inbox.inbox(limit=1)["next"], filters={"owner": "LabMSP"})


def test_what_is_stopped_above_all_items_is_read_at_once(tmp_path: Path) -> None:
    """Many items, each over a chain of its own that ends at one quarantined version: a few queries, not some each."""
    items, depth = 30, 4
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    model = ReadModelStore(database)
    stopped = "dataset-version:stopped:1"
    standing = {"kind": "artifact-stage", "schema": 1, "digest": DIGEST, "since": 1, "round": 1}
    records: list[dict[str, Any]] = [POLICY]
    records.append(
        {**standing, "artifact": stopped, "owner": "LabMSP", "stage": "quarantined", "quarantined_from": "submitted",
         "quarantined_by": "HospitalMSP"}
    )  # fmt: skip
    for item in range(items):
        path = [f"model-version:m{item}:1", *(f"run:r{item}-{step}" for step in range(depth)), stopped]
        records.append({**standing, "artifact": path[0], "owner": "LabMSP", "stage": "submitted"})
        records += [
            {"kind": "edge", "schema": 1, "parent": parent, "child": child, "relation": "trained"}
            for child, parent in itertools.pairwise(path)
        ]
    done = LedgerTransaction("00" * 32, 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, tuple(map(written, records)))
    model.apply(LedgerBlock(0, "01", "", (done,)))
    asked: list[str] = []
    original = model.list

    def counted(kind: str, **where: Any) -> Any:
        asked.append(kind)
        return original(kind, **where)

    model.list = counted  # type: ignore[method-assign]
    speaker = Speaker("RegulatorMSP", "pedigree", "00" * 32)
    found = Artifacts(None, Catalogue(model), None, speaker, lambda: 5.0).inbox(limit=50)  # type: ignore[arg-type]
    database.close()
    assert len(found["items"]) == items
    for item in found["items"]:
        (taint,) = item["tainted_by"]
        assert (taint["cause"], len(taint["path"]), taint["path"][-1]) == ("quarantined", depth + 2, stopped)
    # A level is asked for once, in batches of a hundred: items, four levels of runs, and what is stopped.
    assert asked.count("edge") == depth + 2
    assert asked.count("selection-mark") == 0


DAY = 86_400_000
NET = "model-version:net:1"


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Any]:
    """What the regulator's inbox and the artifact say, so many days after it was approved under a policy."""
    databases = []

    def ask(days: float, stage: str, *, rules: list[dict[str, Any]], by: tuple[str, ...] = ("HospitalMSP",)) -> Any:
        database = Database.open(tmp_path / f"readmodel-{len(databases)}.db", "readmodel", durable=False)
        databases.append(database)
        model = ReadModelStore(database)
        record = {"kind": "model-version", "schema": 1, "model": "net", "number": 1, "owner": "LabMSP",
                  "digest": DIGEST}  # fmt: skip
        standing = {"kind": "artifact-stage", "schema": 1, "artifact": NET, "owner": "LabMSP", "digest": DIGEST,
                    "stage": stage, "since": 1, "round": 1}  # fmt: skip
        envelope = {"payload": "", "payloadType": "t", "signatures": []}
        words = [
            {"kind": "endorsement", "schema": 1, "artifact": NET, "stage": "approved", "by": org, "at": 0, "round": 1,
             "policy": 1, "envelope": envelope, "expires_at": 30 * DAY}
            for org in by
        ]  # fmt: skip
        named = [{"artifact_kind": "model-version", "threshold": 1, **rule} for rule in rules]
        records = [{**POLICY, "rules": named}, record, standing, *words]
        done = LedgerTransaction("00" * 32, 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, tuple(map(written, records)))
        model.apply(LedgerBlock(0, "01", "", (done,)))
        speaker = Speaker("RegulatorMSP", "pedigree", "00" * 32)
        artifacts = Artifacts(None, Catalogue(model), None, speaker, lambda: days * 86_400)  # type: ignore[arg-type]
        return artifacts.inbox()["items"], artifacts.status(NET)

    yield ask
    for database in databases:
        database.close()


EXPIRES = {"stage": "approved", "valid_seconds": 30 * 86_400}


def test_an_approval_that_ends_soon_awaits_another_word(asked: Any) -> None:
    assert asked(22, "approved", rules=[EXPIRES])[0] == []
    (item,), status = asked(23, "approved", rules=[EXPIRES])
    assert (item["artifact"], item["quorum_lost"], item["ends_at"]) == (NET, False, 30 * DAY)
    assert (status["stage"], status["quorum_lost"]) == ("approved", False)


def test_an_approval_whose_endorsements_expired_has_lost_its_quorum(asked: Any) -> None:
    (item,), status = asked(30, "approved", rules=[EXPIRES])
    assert (item["quorum_lost"], item["ends_at"], item["status"]["missing"]) == (True, None, 1)
    assert item["status"]["may_endorse"] == ["HospitalMSP", "RegulatorMSP"]
    assert (status["stage"], status["quorum_lost"]) == ("approved", True)
    assert asked(30, "deployed", rules=[EXPIRES])[1]["quorum_lost"] is True
    assert asked(30, "retired", rules=[EXPIRES])[1]["quorum_lost"] is True


def test_what_is_deployed_awaits_renewal_where_its_quorum_matters(asked: Any) -> None:
    stopping = {"stage": "approved", "on_quorum_lost": "stop", "threshold": 2}
    (item,), status = asked(1, "deployed", rules=[stopping])
    assert (item["quorum_lost"], item["status"]["for_stage"]) == (True, "approved")
    assert (status["stage"], status["quorum_lost"]) == ("deployed", True)
    (item,), _ = asked(30, "deployed", rules=[EXPIRES])
    assert item["quorum_lost"] is True


@pytest.mark.parametrize(
    ("stage", "awaited"), [("approved", "deployed"), ("deployed", "deprecated"), ("deprecated", "retired")]
)
def test_every_stage_that_the_policy_guards_is_in_the_inbox(asked: Any, stage: str, awaited: str) -> None:
    (item,), _ = asked(1, stage, rules=[{"stage": "approved"}, {"stage": awaited}])
    assert (item["status"]["for_stage"], item["status"]["stage"]) == (awaited, stage)
    assert asked(1, stage, rules=[{"stage": "approved"}])[0] == []


def test_what_one_has_said_already_does_not_await_one(asked: Any) -> None:
    assert asked(29, "approved", rules=[EXPIRES], by=("RegulatorMSP", "HospitalMSP"))[0] == []
