# SPDX-License-Identifier: Apache-2.0
"""A copy beside the committed records: the walk that needs little memory finds what a plain comparison finds."""

from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain import merkle
from gateway.services.comparing import HeldRecords
from gateway.services.copies import KINDS, MOST_NAMED, Comparison, Part, agrees
from gateway.services.members import Members
from gateway.services.ports import Records, RecordSet, StoredRecord
from gateway.services.recordfiles import RepeatedId
from gateway.services.tables import Row

TAIL = merkle.record_tail(0, 0)


class Held:
    """The records of one root, in memory."""

    def __init__(self, rows: list[Row]) -> None:
        salts = [sha256(b"salt %d" % number).digest()[:16] for number in range(len(rows))]
        self.records = [
            StoredRecord(row.id, salt, row.content, 0, 0, leaf(salt, row))
            for salt, row in zip(salts, rows, strict=True)
        ]

    def all(self, root: str, start: int = 0) -> Iterator[StoredRecord]:
        return iter(self.records[start:])

    def find(self, root: str, record_id: str) -> tuple[int, StoredRecord] | None:
        return next(((at, record) for at, record in enumerate(self.records) if record.id == record_id), None)


def leaf(salt: bytes, row: Row) -> bytes:
    return merkle.record_hashes([(salt, row.id.encode(), row.content, TAIL)])


def compared(committed: list[Row], given_rows: list[Row], part: Part | None = None) -> Any:
    held = RecordSet("root", "d", len(committed), 0.0, None, 1)
    return Comparison(HeldRecords(cast("Records", Held(committed)), held), part).run(given_rows)


def root_of(committed: list[Row], given_rows: list[Row]) -> str:
    """The root of the copy, by the definition in docs/records.md."""
    records = {record.id: record for record in Held(committed).records}
    seed = sha256(b"pedigree-copy/v1" + b"".join(record.salt for record in records.values())).digest()
    salts = [
        records[row.id].salt if row.id in records else sha256(seed + row.id.encode()).digest()[:16]
        for row in given_rows
    ]
    return merkle.root_of_hashes(b"".join(leaf(*each) for each in zip(salts, given_rows, strict=True))).hex()


def plainly(committed: list[Row], given_rows: list[Row]) -> Any:
    """The same by dictionaries of everything."""
    before = {row.id: row.content for row in committed}
    after = {row.id: row.content for row in given_rows}
    kept, present = [i for i in before if i in after], [i for i in after if i in before]
    found = {
        "changed": [i for i, content in after.items() if i in before and before[i] != content],
        "added": [i for i in after if i not in before],
        "removed": [i for i in before if i not in after],
        "moved": [a for a, b in zip(kept, present, strict=True) if a != b],
    }
    counts = {kind: len(ids) for kind, ids in found.items()}
    return {**found, "counts": counts, "copy_root": root_of(committed, given_rows)}


def table(numbers: list[int]) -> list[Row]:
    return [Row(f"r{number}", b"%d" % number) for number in numbers]


SOME = st.lists(st.integers(0, 30), unique=True, max_size=25)


@given(committed=SOME, given_rows=SOME, altered=st.sets(st.integers(0, 30), max_size=3))
@example(committed=list(range(30)), given_rows=[*range(10, 30), *range(10)], altered=set())
@example(committed=list(range(30)), given_rows=[0, *range(12, 30)], altered={20})
@example(committed=list(range(20)), given_rows=list(range(30)), altered=set())
def test_every_difference_is_named(committed: list[int], given_rows: list[int], altered: set[int]) -> None:
    before = table(committed)
    after = [Row(row.id, b"!" if int(row.id[1:]) in altered else row.content) for row in table(given_rows)]
    assert compared(before, after) == plainly(before, after)


@given(committed=SOME, given_rows=SOME, altered=st.sets(st.integers(0, 30), max_size=2), chosen=st.randoms())
def test_beside_a_selection_its_records_are_missed_and_the_others_lie_outside(
    committed: list[int], given_rows: list[int], altered: set[int], chosen: Random
) -> None:
    before = table(committed)
    after = [Row(row.id, b"!" if int(row.id[1:]) in altered else row.content) for row in table(given_rows)]
    positions = sorted(chosen.sample(range(len(before)), chosen.randint(0, len(before))))
    held, selected = Held(before).records, {before[position].id for position in positions}
    root = merkle.root_of_hashes(b"".join(held[position].leaf for position in positions)).hex()
    plain = plainly(before, after)
    plain["removed"] = [each for each in plain["removed"] if each in selected]
    others = {row.id for row in before} - selected
    plain["outside"] = [row.id for row in after if row.id in others]
    found = compared(before, after, Part("selection:d:1:some", root, Members.of(positions, len(before))))
    assert {kind: found[kind] for kind in KINDS[1:]} == {kind: plain[kind] for kind in KINDS[1:]}
    assert found["counts"] == {kind: len(plain[kind]) for kind in KINDS[1:]}
    assert (found["copy_root"], found["selection_root"]) == (plain["copy_root"], root)
    assert agrees(found) is (after == [before[position] for position in positions])
    unknown = compared(before, after, Part("selection:d:1:some", root, None))
    assert agrees(unknown) is agrees(found)
    assert ("remark" in unknown) is not agrees(found)
    assert (unknown["removed"], "outside" in unknown) == ([], False)


def test_what_lies_outside_is_named_up_to_a_bound_and_counted() -> None:
    rows = table(list(range(MOST_NAMED + 8)))
    part = Part("selection:d:1:some", "5f" * 32, Members.of([3], len(rows)))
    found = compared(rows, rows, part)
    assert (len(found["outside"]), found["counts"]["outside"]) == (MOST_NAMED, MOST_NAMED + 7)
    assert found["outside"][:4] == ["r0", "r1", "r2", "r4"]


@pytest.mark.parametrize(("numbers", "facts"), [([0, 1, 0], (2, 0)), ([9, 0, 9], (2, 0)), ([1, 9, 2, 1], (3, 0))])
def test_a_repeated_id_in_a_copy_is_refused(numbers: list[int], facts: tuple[int, int]) -> None:
    with pytest.raises(RepeatedId) as caught:
        compared(table([0, 1, 2]), table(numbers))
    assert (caught.value.facts["index"], caught.value.facts["first"]) == facts


def test_a_report_names_many_and_counts_all() -> None:
    found = compared(table(list(range(3))), table(list(range(3, MOST_NAMED + 53))))
    assert (len(found["added"]), found["counts"]["added"]) == (MOST_NAMED, MOST_NAMED + 50)
    assert found["removed"] == ["r0", "r1", "r2"]
