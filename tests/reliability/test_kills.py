# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of the work, with the databases kept, lost or set back: one effect for each key."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reliability.conftest import Load, LoneGateway

Blocks = Callable[[], Any]
Report = Callable[[str], None]
LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"

pytestmark = [pytest.mark.timeout(300)]

CLIENTS = 50
EACH = 20 if LONG else 4


@pytest.mark.parametrize("databases", ["kept", "lost", *(["set back"] if LONG else [])])
def test_a_gateway_that_is_killed_under_load_loses_and_doubles_nothing(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str, databases: str, report: Report
) -> None:
    lone.start()
    for name in ("submissions", "readmodel"):
        lone.copy_of(name)
    total = CLIENTS * EACH
    work = threading.Thread(
        target=load.run, args=([lone.target],), kwargs={"clients": CLIENTS, "each": EACH, "prefix": prefix}
    )
    work.start()
    share = random.uniform(0.2, 0.7)
    while len(load.acknowledged) < share * total:
        time.sleep(0.005)
    lone.kill()
    acknowledged = len(load.acknowledged)
    for name in ("submissions", "readmodel"):
        if databases == "lost":
            lone.lose(name)
        elif databases == "set back":
            lone.roll_back(name)
    killed = time.perf_counter()
    lone.start()
    back = time.perf_counter() - killed
    work.join()
    replayed = sum(one.replayed for one in load.acknowledged.values())
    report(f"killed after {acknowledged} of {total}, ready again in {back:.1f} s, done in {load.seconds:.1f} s, "
           f"{load.unanswered} unanswered, {replayed} replayed")  # fmt: skip
    assert load.unanswered
    assert (len(load.acknowledged), load.refused) == (total, {})
    load.judge(blocks())


def test_a_gateway_without_memory_answers_from_the_blocks(
    lone: LoneGateway, load: Load, blocks: Blocks, prefix: str
) -> None:
    lone.start()
    load.run([lone.target], clients=5, each=4, prefix=prefix)
    before = dict(load.acknowledged)
    assert len(before) == 20
    lone.kill()
    lone.lose("submissions")
    lone.lose("readmodel")
    lone.start()
    with lone.client() as client:
        for model, recorded in before.items():
            load.record(client, model)
            again = load.acknowledged[model]
            assert (again.record, again.event) == (recorded.record, recorded.event)
            assert (again.transaction_id, again.block) == (recorded.transaction_id, recorded.block)
    assert load.refused == {}
    assert len(blocks()) == 20
