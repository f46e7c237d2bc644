# SPDX-License-Identifier: Apache-2.0
"""Attempts and small reads in one list: merged by time, chosen by filters, page by page, and none of them twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.accesses import Accesses
from gateway.services.conditions import CREATED, Conditions, OneOf, Within
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Entry, Json
from gateway.services.readlog import Kept

OWN = "HospitalMSP"


def said(number: int, at: int, **more: Any) -> Json:
    """What an attempt or a read says."""
    return {
        "at": at, "by": ("LabMSP", "RegulatorMSP")[number % 2], "grant": f"g-{number % 3}",
        "artifact": "dataset-version:wdbc:1", "action": "download", "purpose": "https://w3id.org/dpv#ScientificResearch",
        "decision": ("allowed", "denied")[number % 5 == 0], "attempt": f"{number:064x}", **more,
    }  # fmt: skip


class Ledger:
    """A catalogue that pages as the read model does: where a list ends there is no cursor yet."""

    def __init__(self) -> None:
        self.attempts: list[Json] = []
        self.most = 1_000
        """How many entries one call looks at."""

    def some(
        self, kind: str, asked: Conditions, *, cursor: str | None, limit: int
    ) -> tuple[Sequence[Entry], str | None]:
        assert kind == "access-attempt"
        start = 0 if cursor is None else int(cursor)
        found: list[Entry] = []
        for index in range(start, len(self.attempts)):
            if index - start == self.most or len(found) == limit:
                return found, str(index)
            if suits(self.attempts[index], asked):
                value = self.attempts[index]
                found.append(Entry("k", kind, value, value["attempt"], index, "2026-01-01T00:00:00Z"))
        return found, None


def suits(value: Json, asked: Conditions) -> bool:
    for each in asked:
        if isinstance(each, OneOf) and value.get(each.name) not in each.values:
            return False
        if isinstance(each, Within):
            assert each.name == CREATED
            if not int(each.low) <= value["at"] < (1 << 62 if each.high is None else int(each.high)):
                return False
    return True


class Log:
    """What the owner keeps."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []

    def keep(self, leaf: bytes) -> None:
        self.kept.append(Kept(len(self.kept) + 1, leaf, None, None))

    def following(self, after: int, *, grant: str | None, limit: int) -> Sequence[Kept]:
        def is_of(leaf: bytes) -> bool:
            return grant is None or not leaf.startswith(b"{") or json.loads(leaf)["grant"] == grant

        return [each for each in self.kept if each.key > after and is_of(each.leaf)][:limit]


class Listings:
    """Shows them without proofs."""

    def entries(self, found: Sequence[Kept]) -> list[Json]:
        return [
            {"read": json.loads(each.leaf) if each.leaf.startswith(b"{") else None, "state": "waiting"}
            for each in found
        ]


class World:
    def __init__(self) -> None:
        self.ledger, self.log = Ledger(), Log()
        catalogue: Any = self.ledger
        log: Any = self.log
        listings: Any = Listings()
        self.accesses = Accesses(catalogue, log, listings, OWN)

    def attempt(self, number: int, at: int, owner: str = OWN) -> None:
        self.ledger.attempts.append(said(number, at, owner=owner))

    def read(self, number: int, at: int) -> None:
        self.log.keep(json.dumps(said(number, at)).encode())

    def walk(self, limit: int = 10, meanwhile: Any = lambda: None, **filters: str) -> list[Json]:
        """All pages, one after another."""
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(2_000):
            page = self.accesses.page(cursor=cursor, limit=limit, filters=filters)
            assert len(page["items"]) <= limit
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found
            meanwhile()
        raise AssertionError("it has no end")


def ids(items: Sequence[Json]) -> list[str]:
    return [f"{each['form']} {each['attempt']}" for each in items]


@given(
    made=st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60),
    limit=st.integers(1, 12),
    most=st.sampled_from([3, 1_000]),
)
def test_all_are_listed_once_in_the_order_of_time(made: list[tuple[bool, int]], limit: int, most: int) -> None:
    world = World()
    world.ledger.most = most
    for number, (is_read, at) in enumerate(sorted(made, key=lambda each: each[1])):
        (world.read if is_read else world.attempt)(number, at)
    found = world.walk(limit)
    assert sorted(ids(found)) == sorted(
        f"{'read' if is_read else 'attempt'} {number:064x}"
        for number, (is_read, _) in enumerate(sorted(made, key=lambda each: each[1]))
    )
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)


@given(order=st.lists(st.booleans(), min_size=1, max_size=40), limit=st.integers(1, 7))
def test_what_comes_meanwhile_is_listed_and_nothing_twice(order: list[bool], limit: int) -> None:
    world = World()
    number = iter(range(10_000))
    for is_read in order:
        at = next(number)
        (world.read if is_read else world.attempt)(at, at)
    before = ids(world.walk(1_000))
    left = [3]

    def meanwhile() -> None:
        if left[0]:
            left[0] -= 1
            at = next(number)
            world.attempt(at, at)
            world.read(at, at)

    found = ids(world.walk(limit, meanwhile))
    assert len(found) == len(set(found))
    assert found[: len(before)] == before


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"grant": "g-1"}, lambda each: each["grant"] == "g-1"),
        ({"by": "LabMSP"}, lambda each: each["by"] == "LabMSP"),
        ({"access_decision": "denied"}, lambda each: each["decision"] == "denied"),
        ({"owner": "LabMSP"}, lambda each: each["owner"] == "LabMSP"),
        ({"owner": OWN, "grant": "g-2"}, lambda each: (each["owner"], each["grant"]) == (OWN, "g-2")),
        ({"since": "1970-01-01T00:00:00.020Z"}, lambda each: each["at"] >= 20),
        ({"before": "1970-01-01T00:00:00.020Z"}, lambda each: each["at"] < 20),
        ({"artifact": "dataset-version:other:1"}, lambda _: False),
    ],
)
def test_filters_choose_among_both(filters: Mapping[str, str], wanted: Any) -> None:
    world = World()
    for number in range(40):
        world.attempt(number, number, owner=OWN if number % 4 else "LabMSP")
        world.read(number, number)
    everything = world.walk(100)
    assert len(everything) == 80
    assert ids(world.walk(7, **filters)) == ids([each for each in everything if wanted(each)])


def test_reads_that_were_altered_are_hidden_by_no_filter() -> None:
    world = World()
    world.read(1, 5)
    world.log.keep(b"\xff nothing")
    found = world.walk(by="NobodyMSP")
    assert [(each["form"], each["read"]["read"]) for each in found] == [("read", None)]


def test_a_cursor_is_of_one_list() -> None:
    world = World()
    for number in range(5):
        world.attempt(number, number)
    cursor = world.accesses.page(cursor=None, limit=2, filters={})["next"]
    assert cursor is not None
    for bad, filters in ((cursor, {"by": "LabMSP"}), (cursor[:-4], {}), ("x", {}), ("", {})):
        with pytest.raises(InvalidParameter):
            world.accesses.page(cursor=bad, limit=2, filters=filters)
