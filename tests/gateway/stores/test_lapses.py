# SPDX-License-Identifier: Apache-2.0
"""Lists filtered by stage: at every height, each version is found by the stage that the law has for it then."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordkeys import written

from gateway.services.ports import LedgerBlock, LedgerTransaction
from gateway.services.walks import Standing
from gateway.stores.comparison import differences
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore

MODELS = ("a", "b")
STAGES = ("draft", "submitted", "approved", "quarantined")


class Ledger:
    """Versions of two models, and the stages that are written for them, in blocks of given times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path, "readmodel", durable=False)
        self.model = ReadModelStore(self.database)
        self.standings: dict[str, Standing] = {}
        self.append(0, *({"kind": "model", "model": each, "owner": "LabMSP"} for each in MODELS))
        versions = [{"kind": "model-version", "model": each, "number": n, "owner": "LabMSP"}
                    for each in MODELS for n in (1, 2)]  # fmt: skip
        self.append(0, *versions)

    def append(self, second: int, *records: dict[str, Any]) -> None:
        number = self.model.height()
        at = datetime.fromtimestamp(second, UTC).isoformat()
        done = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", at, None, tuple(map(written, records)))
        block = LedgerBlock(number, f"{number + 1:x}", self.model.last_hash() or "", (done,))
        self.model.apply(block)

    def stand(self, second: int, model: str, number: int, stage: str, lapses: int | None, before: str) -> None:
        artifact = f"model-version:{model}:{number}"
        record: dict[str, Any] = {"kind": "artifact-stage", "artifact": artifact, "stage": stage}
        if stage == "quarantined":
            record["quarantined_from"] = before
            if lapses is not None:
                record["lapses_at"] = lapses * 1_000
        self.standings[artifact] = Standing.read(record, 0)
        self.append(second, record)

    def expected(self) -> dict[str, str]:
        now = self.model.time_below(self.model.height())
        stages = dict.fromkeys((f"model-version:{each}:{n}" for each in MODELS for n in (1, 2)), "draft")
        return stages | {artifact: each.at(now) for artifact, each in self.standings.items()}

    def check(self) -> None:
        expected = self.expected()
        for stage in STAGES:
            where = {"stage": stage}
            page = self.model.list("model-version", where=where, after=None, limit=9)
            found = {f"model-version:{each.value['model']}:{each.value['number']}" for each in page.items}
            assert found == {artifact for artifact, at in expected.items() if at == stage}
            assert self.model.count("model-version", where=where).count == len(found)
            models = self.model.list("model", where=where, after=None, limit=9).items
            assert {each.value["model"] for each in models} == {each.split(":")[1] for each in found}
            assert self.model.count("model", where=where).count == len(models)


@pytest.fixture
def make_ledger(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(Ledger(tmp_path / f"{len(made)}.db"))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


STEP = st.tuples(
    st.integers(1, 20),
    st.none() | st.tuples(
        st.sampled_from(MODELS), st.sampled_from([1, 2]), st.sampled_from(STAGES), st.none() | st.integers(1, 20),
        st.sampled_from(STAGES[:3]),
    ),
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=12))
def test_at_every_height_versions_and_wholes_are_listed_by_the_stage_they_are_at(
    make_ledger: Callable[[], Ledger], steps: list[tuple[int, Any]]
) -> None:
    """Times may go back: clocks of clients differ."""
    ledger = make_ledger()
    for second, standing in steps:
        if standing is None:
            ledger.append(second, {"kind": "edge", "parent": f"run:{second}", "child": "run:x", "relation": "merged"})
        else:
            ledger.stand(second, *standing)
        ledger.check()


def test_a_quarantine_is_over_from_the_block_whose_time_reaches_its_end(make_ledger: Callable[[], Ledger]) -> None:
    ledger = make_ledger()

    def quarantined() -> int:
        return ledger.model.count("model", where={"stage": "quarantined"}).count

    ledger.stand(1, "a", 1, "approved", None, "draft")
    ledger.stand(2, "a", 1, "quarantined", 9, "approved")
    assert quarantined() == 1
    for second, expected in ((8, 1), (9, 0), (8, 1), (12, 0)):
        ledger.append(second, {"kind": "edge", "parent": f"run:{ledger.model.height()}", "child": "run:x",
                               "relation": "merged"})  # fmt: skip
        assert quarantined() == expected
        ledger.check()
    ledger.stand(13, "a", 1, "submitted", None, "draft")
    ledger.check()
    other = make_ledger()
    assert {table for table, _ in differences(ledger.path, other.path)} >= {"attribute", "history"}
    ledger.model.clear()
    assert ledger.database.reader().execute("SELECT count(*) FROM lapse").fetchone()[0] == 0
