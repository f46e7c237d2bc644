# SPDX-License-Identifier: Apache-2.0
"""kill -9 of an owner's gateway between reads and the transaction that commits to them: none of them is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.founding import ORIGIN

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

    from gateway.demo.consortium import Consortium

pytestmark = [pytest.mark.timeout(300)]
CONTENT = b"id,age\n" + b"".join(b"p%d,%d\n" % (number, number % 90) for number in range(2_000))
READS = 20


def test_reads_that_were_not_anchored_survive_a_kill(
    consortium: Consortium, new_gateway: Callable[..., LoneGateway], prefix: str
) -> None:
    lab, regulator = consortium.client("lab"), consortium.client("regulator")
    hospital = new_gateway(consortium, "hospital").start("--anchor-reads", "3600")
    dataset = f"{prefix}-killed-reads"
    with hospital.client() as owner:
        owner.register_dataset(
            dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="personal", basis="public-task"
        )
        owner.commit_records(dataset, CONTENT, id_field="id")
        owner.publish_dataset(dataset, 1, CONTENT)
        given = owner.grant_access(
            dataset, grantee="LabMSP", artifact=f"dataset-version:{dataset}:1", purpose="research",
            actions=["download"], expires=int(time.time() * 1_000) + 3_600_000, batched=True,
        )  # fmt: skip
        lab.at_least(given.height)
        with lab.open_reading(dataset, hospital.url) as reading:
            for number in range(READS):
                assert reading.read(number, 7) == CONTENT[number : number + 7]
        before: list[Any] = list(owner.access_reads(grant=dataset)["items"])
    assert len(before) >= READS
    assert {each["state"] for each in before} == {"waiting"}
    hospital.kill()

    hospital.start("--anchor-reads", "1")
    with hospital.client() as owner:
        deadline = time.monotonic() + 60
        after = before
        while any(each["state"] == "waiting" for each in after):
            assert time.monotonic() < deadline, "not anchored in time"
            time.sleep(0.2)
            after = list(owner.access_reads(grant=dataset)["items"])
        regulator.at_least(owner.ledger()["height"])
    assert [each["leaf"] for each in after] == [each["leaf"] for each in before]
    assert {each["state"] for each in after} == {"anchored"}
    found = [each for each in regulator.audit_reads("HospitalMSP", hospital.url) if each.batch == after[0]["batch"]]
    assert [(each.problem, each.read) for each in found] == [(None, each["read"]) for each in reversed(after)]
    lab.close()
    regulator.close()
