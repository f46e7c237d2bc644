# SPDX-License-Identifier: Apache-2.0
"""Lists out of the read model: right for every filter and page, and bounded in the steps that SQLite takes."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.services.catalogue import entries
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite, Page, Where
from gateway.stores import selection
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore


class Filled:
    """A read model and the records that were written to it, in their order."""

    def __init__(self, path: Path) -> None:
        self.database = Database.open(path, "readmodel", durable=False)
        self.model = ReadModelStore(self.database)
        self.written: list[dict[str, Any]] = []

    def write(self, *records: dict[str, Any]) -> None:
        number, before = self.model.height(), self.model.last_hash() or ""
        writes = [LedgerWrite(f"{number}/{index}", record) for index, record in enumerate(records)]
        transaction = LedgerTransaction(f"{number:064x}", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", None, tuple(writes))
        self.model.apply(LedgerBlock(number, f"{number + 1:x}", before, (transaction,)))
        self.written += records

    def matching(self, kind: str, where: Where) -> list[dict[str, Any]]:
        def holds(record: dict[str, Any], name: str, value: str | tuple[str, ...]) -> bool:
            return name in record and str(record[name]) in ((value,) if isinstance(value, str) else value)

        found = [record for record in self.written if record["kind"] == kind]
        return [record for record in found if all(holds(record, *item) for item in where.items())]

    def steps(self, work: Callable[[], object]) -> int:
        """How many instructions of SQLite's machine `work` takes."""
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        connection = self.database.reader()
        connection.set_progress_handler(count, 1)
        try:
            work()
        finally:
            connection.set_progress_handler(None, 0)
        return taken


@pytest.fixture
def make_filled(tmp_path: Path) -> Iterator[Callable[[], Filled]]:
    made: list[Filled] = []

    def make() -> Filled:
        made.append(Filled(tmp_path / f"{len(made)}.db"))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


FIELD = st.sampled_from(["a", "b", "c"])
VALUE = st.sampled_from(["1", "2"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.dictionaries(FIELD, VALUE), max_size=25),
    where=st.dictionaries(FIELD, VALUE | st.just(("1", "2")), max_size=3),
    size=st.integers(1, 4),
)
def test_pages_hold_every_match_once_and_in_order(
    make_filled: Callable[[], Filled], monkeypatch: pytest.MonkeyPatch,
    records: list[dict[str, Any]], where: Where, size: int,
) -> None:  # fmt: skip
    with monkeypatch.context() as changed:
        changed.setattr(selection, "MOST_WALKED", 3)
        filled = make_filled()
        filled.write(*({"kind": "x" if index % 3 else "y", **record} for index, record in enumerate(records)))
        found = [entry.value for entry in entries(filled.model, "x", where, size=size)]
    assert found == filled.matching("x", where)


def test_a_page_of_one_filter_costs_the_same_however_many_match(make_filled: Callable[[], Filled]) -> None:
    costs = []
    for size in (50, 5_000):
        filled = make_filled()
        filled.write(*({"kind": "edge", "parent": "p", "child": f"c{number}"} for number in range(size)))
        costs.append(filled.steps(lambda: filled.model.list("edge", where={"parent": "p"}, after=None, limit=10)))  # noqa: B023
    assert costs[1] <= costs[0] * 1.2 + 50


def test_a_later_page_costs_no_more_than_the_first(make_filled: Callable[[], Filled]) -> None:
    filled = make_filled()
    filled.write(*({"kind": "edge", "parent": "p"} for _ in range(3_000)))
    after, costs = None, []
    for _ in range(10):
        pages: list[Page] = []
        where = {"parent": "p"}
        read = partial(filled.model.list, "edge", where=where, after=after, limit=300)
        costs.append(filled.steps(lambda: pages.append(read())))  # noqa: B023
        after = pages[0].next
    assert after is None
    assert max(costs) <= min(costs) * 1.2 + 50


def test_several_values_are_merged_without_sorting_all_that_match(make_filled: Callable[[], Filled]) -> None:
    costs = []
    for size in (60, 6_000):
        filled = make_filled()
        filled.write(*({"kind": "s", "stage": ("submitted", "endorsed", "approved")[n % 3]} for n in range(size)))
        where = {"stage": ("submitted", "endorsed")}
        costs.append(filled.steps(lambda: filled.model.list("s", where=where, after=None, limit=10)))  # noqa: B023
    assert costs[1] <= costs[0] * 1.2 + 50


@pytest.mark.parametrize("where", [{"model": "m7", "number": "1"}, {"model": "hot", "number": "4000"}])
def test_one_record_is_found_by_the_rarer_of_its_fields(
    make_filled: Callable[[], Filled], where: dict[str, str]
) -> None:
    filled = make_filled()
    filled.write(*({"kind": "v", "model": f"m{number}", "number": 1} for number in range(4_000)))
    filled.write(*({"kind": "v", "model": "hot", "number": number} for number in range(4_001)))
    found: list[Any] = []
    steps = filled.steps(lambda: found.extend(filled.model.list("v", where=where, after=None, limit=1).items))
    assert [str(entry.value["model"]) for entry in found] == [where["model"]]
    assert steps < 5_000


def test_what_matches_nowhere_is_looked_for_in_bounds(
    make_filled: Callable[[], Filled], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = make_filled()
    filled.write(*({"kind": "d", "owner": "ab"[n % 2], "sensitivity": "xy"[n % 2]} for n in range(6_000)))
    monkeypatch.setattr(selection, "MOST_WALKED", 500)
    where = {"owner": "a", "sensitivity": "y"}
    page = filled.model.list("d", where=where, after=None, limit=10)
    assert page.items == ()
    assert page.next is not None
    assert filled.steps(lambda: filled.model.list("d", where=where, after=None, limit=10)) < 25_000
    assert list(entries(filled.model, "d", where)) == []


def test_the_last_one_is_found_without_reading_the_others(make_filled: Callable[[], Filled]) -> None:
    filled = make_filled()
    filled.write(*({"kind": "v", "dataset": "d", "number": number} for number in range(1, 3_001)))
    found = filled.model.last("v", where={"dataset": "d"})
    assert found is not None
    assert found.value["number"] == 3_000
    assert filled.model.last("v", where={"dataset": "e"}) is None
    assert filled.steps(lambda: filled.model.last("v", where={"dataset": "d"})) < 100
    first = filled.model.last("v", where={"dataset": "d", "number": "1"})
    assert first is not None
    assert first.value["number"] == 1


def test_an_entry_that_is_written_again_keeps_its_place_and_loses_its_old_attributes(
    make_filled: Callable[[], Filled],
) -> None:
    filled = make_filled()
    for number, stage in enumerate(("submitted", "submitted", "approved")):
        key = f"s/{number % 2}"
        write = LedgerWrite(key, {"kind": "s", "stage": stage, "key": key})
        before = filled.model.last_hash() or ""
        transaction = LedgerTransaction(f"{number:064x}", 0, 0, "L", "2026-01-01T00:00:00Z", None, (write,))
        filled.model.apply(LedgerBlock(number, f"{number + 1:x}", before, (transaction,)))

    def keys(where: Where) -> list[str]:
        return [entry.key for entry in entries(filled.model, "s", where)]

    assert keys({}) == keys({"stage": ("approved", "submitted")}) == ["s/0", "s/1"]
    assert keys({"stage": "submitted"}) == ["s/1"]
    assert keys({"stage": "approved"}) == ["s/0"]


def test_the_scripts_of_every_database_are_numbered_without_gaps_or_twins() -> None:
    """The number of the last script is the schema's: two that bear the same would be applied again and again."""
    migrations = Path(selection.__file__).parent / "migrations"
    folders = [folder for folder in (*migrations.iterdir(), *migrations.glob("*/*")) if folder.is_dir()]
    assert folders
    for folder in folders:
        numbers = sorted(int(script.name[:4]) for script in folder.glob("*.sql"))
        assert numbers == list(range(1, len(numbers) + 1)), folder.name
