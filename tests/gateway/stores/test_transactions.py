# SPDX-License-Identifier: Apache-2.0
"""Who did what, as the read model lists it: filters against a naive reference, pages, bounds, rebuilds."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.services.deeds import Deed
from gateway.services.filters import InvalidParameter
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.services.transactions import Listed, Sought, TransactionView
from gateway.stores import transactions
from gateway.stores.comparison import differences
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.transactions import TransactionStore

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
CLIENTS = ("aa" * 16, "bb" * 16)
NAMES = {0: "VALID", 10: "ENDORSEMENT_POLICY_FAILURE", 11: "MVCC_READ_CONFLICT"}


def model(name: str) -> LedgerWrite:
    return LedgerWrite(f"model/{name}", {"kind": "model", "schema": 1, "model": name, "owner": "LabMSP"})


def stage(name: str) -> LedgerWrite:
    value = {"kind": "artifact-stage", "schema": 1, "artifact": f"model-version:{name}:1", "stage": "submitted"}
    return LedgerWrite(f"stage/{name}", value)


def transaction(
    number: int, index: int, *, code: int = 0, at: datetime = FIRST, by: str = "LabMSP", client: str | None = None,
    function: str = "model:register", name: str = "net", subject: str | None = None,
) -> LedgerTransaction:  # fmt: skip
    writes = (model(name), stage(name))
    deed = Deed(
        validity=NAMES[code], subject=subject or f"CN={by}", certificate=f"{len(by) % 10}" * 64, client=client,
        chaincode="pedigree", function=function, event=function, endorsers=("HospitalMSP", "LabMSP"),
        refused=() if code == 0 else writes,
    )  # fmt: skip
    return LedgerTransaction(
        f"{number:032x}{index:032x}", index, code, by, at.isoformat().replace("+00:00", "Z"), None,
        writes if code == 0 else (), deed=deed,
    )  # fmt: skip


@dataclass
class World:
    database: Database
    model: ReadModelStore
    store: TransactionStore
    blocks: list[LedgerBlock]

    def add(self, *made: LedgerTransaction) -> None:
        number = len(self.blocks)
        block = LedgerBlock(number, f"{number:04x}", f"{number - 1:04x}" if number else "", made)
        self.blocks.append(block)
        self.model.apply(block)

    def ids(self, sought: Sought, limit: int = 7) -> list[str]:
        """All that is found, page after page."""
        found: list[str] = []
        after: str | None = None
        for _ in range(1000):
            page = self.store.listed(sought, after=after, limit=limit)
            assert len(page.items) <= limit
            found += [each.id for each in page.items]
            after = page.next
            if after is None:
                return found
        raise AssertionError("the pages do not end")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
    yield World(database, ReadModelStore(database), TransactionStore(database), [])
    database.close()


def mixed(world: World, blocks: int = 40, seed: int = 7) -> None:
    """Transactions of every sort in a random order, with times that go back and forth."""
    chance = random.Random(seed)
    for number in range(blocks):
        world.add(
            *(
                transaction(
                    number, index,
                    code=chance.choice((0, 0, 0, 10, 11)),
                    at=FIRST + timedelta(minutes=chance.randrange(-5, 200)),
                    by=chance.choice(("LabMSP", "HospitalMSP")),
                    client=chance.choice((None, *CLIENTS)),
                    function=chance.choice(("model:register", "dataset:register")),
                    name=chance.choice("abc"),
                )
                for index in range(chance.randrange(4))
            )
        )  # fmt: skip


def holds(sought: Sought, block: int, each: LedgerTransaction) -> bool:
    """The obvious way to see whether a transaction is sought."""
    deed = each.deed
    at = round(datetime.fromisoformat(each.at).timestamp() * 1_000_000)
    writes = each.writes or deed.refused
    about = {f"model:{write.value['model']}" for write in writes if write.value and "model" in write.value}
    about |= {write.value["artifact"] for write in writes if write.value and "artifact" in write.value}
    return all(
        (
            sought.organisation in (None, each.creator),
            sought.subject in (None, deed.subject),
            sought.certificate in (None, deed.certificate),
            sought.client in (None, deed.client),
            sought.function in (None, deed.function),
            sought.validity in (None, deed.validity) or (sought.validity == "INVALID" and each.code != 0),
            sought.reference is None or sought.reference in about,
            sought.since is None or at >= sought.since,
            sought.before is None or at < sought.before,
            sought.from_height is None or block >= sought.from_height,
            sought.until_height is None or block < sought.until_height,
        )
    )


MICROSECONDS = round(FIRST.timestamp() * 1_000_000)
ASKED: list[dict[str, Any]] = [
    {"organisation": "LabMSP"}, {"subject": "CN=HospitalMSP"}, {"client": CLIENTS[0]}, {"function": "dataset:register"},
    {"validity": "VALID"}, {"validity": "INVALID"}, {"validity": "MVCC_READ_CONFLICT"}, {"reference": "model:a"},
    {"reference": "model-version:b:1"}, {"since": MICROSECONDS + 3_600_000_000},
    {"before": MICROSECONDS + 3_600_000_000}, {"from_height": 10}, {"until_height": 30}, {"organisation": "NobodyMSP"},
]  # fmt: skip


def test_every_pair_of_filters_finds_what_a_naive_reading_of_the_blocks_finds(world: World) -> None:
    mixed(world)
    everything = [(block.number, each) for block in world.blocks for each in block.transactions]
    for one, other in itertools.combinations_with_replacement(ASKED, 2):
        sought = Sought(**{**one, **other})
        wanted = [each.transaction_id for block, each in everything if holds(sought, block, each)]
        found = world.ids(sought)
        timed = sought.since is not None or sought.before is not None
        assert sorted(found) == sorted(wanted), sought
        assert timed or found == wanted, sought
        assert world.ids(replace(sought, newest=True)) == found[::-1], sought
        tally = world.store.counted(sought)
        assert (tally.count, tally.exact) == (len(wanted), True), sought


def test_a_walk_is_bounded_and_goes_on_where_it_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed(world)
    monkeypatch.setattr(transactions, "MOST_WALKED", 5)
    everything = [(block.number, each) for block in world.blocks for each in block.transactions]
    for asked in ({"organisation": "LabMSP", "function": "dataset:register"}, {"validity": "VALID"}, {"since": 0}):
        sought = Sought(**asked)
        assert sorted(world.ids(sought)) == sorted(
            each.transaction_id for b, each in everything if holds(sought, b, each)
        )
        assert world.store.counted(sought).exact is False


def test_what_is_listed_is_what_the_envelope_said(world: World) -> None:
    world.add(transaction(0, 0, client=CLIENTS[1], at=FIRST + timedelta(microseconds=1)))
    (found,) = world.store.listed(Sought(), after=None, limit=9).items
    deed = world.blocks[0].transactions[0].deed
    assert found == Listed(
        id=f"{0:064x}", block=0, number=0, code=0, validity="VALID", at=MICROSECONDS + 1, organisation="LabMSP",
        subject="CN=LabMSP", certificate=deed.certificate, client=CLIENTS[1], chaincode="pedigree",
        function="model:register", event="model:register", endorsers=("HospitalMSP", "LabMSP"),
        about=("model:net", "model-version:net:1"),
    )  # fmt: skip
    assert world.store.found(f"{0:064x}") == found
    assert world.store.found("none") is None


def test_every_occurrence_of_an_id_is_listed_and_the_valid_one_counts(world: World) -> None:
    world.add(replace(transaction(0, 0, code=10), transaction_id="ab" * 32))
    world.add(replace(transaction(1, 0), transaction_id="ab" * 32))
    world.add(replace(transaction(2, 0, code=11), transaction_id="ab" * 32))
    listed = world.store.listed(Sought(), after=None, limit=9).items
    assert [(each.block, each.code) for each in listed] == [(0, 10), (1, 0), (2, 11)]
    counts = world.store.found("ab" * 32)
    assert counts is not None
    assert (counts.block, counts.code) == (1, 0)


def test_what_an_envelope_names_is_shown_without_what_a_terminal_obeys(world: World) -> None:
    hostile = "\x1b[2J\u202e" + "x" * 500
    world.add(replace(transaction(0, 0, code=10), transaction_id=hostile, creator=hostile, at="no time", writes=()))
    (found,) = world.store.listed(Sought(), after=None, limit=9).items
    assert found.id.isprintable()
    assert found.organisation.isprintable()
    assert max(len(found.id), len(found.organisation)) <= 4 * 128
    assert found.at is None


def test_writes_of_a_refused_transaction_name_only_what_has_the_form_of_a_reference(world: World) -> None:
    written = [
        {"kind": "model", "model": "\x1b[31m"}, {"kind": "model", "model": {"a": 1}}, {"kind": 7}, {},
        {"kind": "artifact-stage", "artifact": "x" * 5000}, {"kind": "artifact-stage", "artifact": "model:ok"},
    ]  # fmt: skip
    refused = tuple(LedgerWrite(str(index), value) for index, value in enumerate(written))
    plain = transaction(0, 0, code=10)
    world.add(replace(plain, deed=replace(plain.deed, refused=refused)))
    assert world.store.listed(Sought(), after=None, limit=9).items[0].about == ("model:ok",)


def test_a_rebuilt_read_model_has_the_same_rows(world: World, tmp_path: Path) -> None:
    mixed(world)
    again = Database.open(tmp_path / "again.db", "readmodel", durable=False)
    rebuilt = ReadModelStore(again)
    for block in world.blocks:
        rebuilt.apply(block)
    world.database.shorten_log()
    again.shorten_log()
    assert list(differences(tmp_path / "readmodel.db", tmp_path / "again.db")) == []
    rebuilt.clear()
    assert TransactionStore(again).listed(Sought(), after=None, limit=9).items == ()
    again.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("organisation", "no msp"), ("client", "nobody"), ("validity", "valid?"), ("about", "net"), ("about", "x:y"),
        ("since", "yesterday"), ("from_height", "-1"), ("until_height", "0"), ("order", "up"), ("function", ""),
        ("identity", "x" * 400),
    ],
)  # fmt: skip
def test_a_filter_that_means_nothing_is_refused_by_its_name(world: World, name: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        TransactionView(world.store, list).page({name: text}, cursor=None, limit=9)
    assert caught.value.facts == {"parameter": name}


def test_a_client_is_asked_for_and_shown_by_its_name_at_its_own_gateway(world: World) -> None:
    world.add(transaction(0, 0, client=CLIENTS[0]), transaction(0, 1, client=CLIENTS[1]))
    view = TransactionView(world.store, lambda: [(CLIENTS[0], "nightly-training")])
    for text in ("nightly-training", CLIENTS[0]):
        (item,) = view.page({"client": text}, cursor=None, limit=9)["items"]
        assert item["client"] == {"id": CLIENTS[0], "name": "nightly-training"}
    (foreign,) = view.page({"client": CLIENTS[1]}, cursor=None, limit=9)["items"]
    assert foreign["client"] == {"id": CLIENTS[1], "name": None}


def test_a_cursor_belongs_to_its_question(world: World) -> None:
    mixed(world)
    view = TransactionView(world.store, list)
    cursor = view.page({}, cursor=None, limit=1)["next"]
    assert view.page({}, cursor=cursor, limit=1)["items"]
    for filters, given in (({"order": "newest"}, cursor), ({}, "AAAA"), ({"since": "2026-01-01"}, cursor)):
        with pytest.raises(InvalidParameter):
            view.page(filters, cursor=given, limit=1)
