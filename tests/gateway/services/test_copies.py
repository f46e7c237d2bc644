# SPDX-License-Identifier: Apache-2.0
"""A copy beside the committed records: the walk that needs little memory finds what a plain comparison finds."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain import merkle
from gateway.services.comparing import HeldRecords
from gateway.services.copies import MOST_NAMED, Comparison
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


def compared(committed: list[Row], given_rows: list[Row]) -> Any:
    held = RecordSet("root", "d", len(committed), 0.0, None, 1)
    return Comparison(HeldRecords(cast("Records", Held(committed)), held)).run(given_rows)


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


@pytest.mark.parametrize(("numbers", "facts"), [([0, 1, 0], (2, 0)), ([9, 0, 9], (2, 0)), ([1, 9, 2, 1], (3, 0))])
def test_a_repeated_id_in_a_copy_is_refused(numbers: list[int], facts: tuple[int, int]) -> None:
    with pytest.raises(RepeatedId) as caught:
        compared(table([0, 1, 2]), table(numbers))
    assert (caught.value.facts["index"], caught.value.facts["first"]) == facts


def test_a_report_names_many_and_counts_all() -> None:
    found = compared(table(list(range(3))), table(list(range(3, MOST_NAMED + 53))))
    assert (len(found["added"]), found["counts"]["added"]) == (MOST_NAMED, MOST_NAMED + 50)
    assert found["removed"] == ["r0", "r1", "r2"]
