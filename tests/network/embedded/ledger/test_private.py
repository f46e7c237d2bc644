# SPDX-License-Identifier: Apache-2.0
"""Private data at commit: members, hashes, expiry, purges and members that join (rules V-37 to V-44)."""

from hashlib import sha256
from typing import Any

import pytest

MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"
EVERYONE = "OR('HospitalMSP.member','LabMSP.member','RegulatorMSP.member')"
HOLDERS = ("HospitalMSP", "LabMSP")


@pytest.fixture
def ledger(empty_ledger: Any, kit: Any) -> Any:
    empty_ledger.define(kit.definition(collections=[kit.collection("c", MEMBERS), kit.collection("b", MEMBERS, btl=3)]))
    return empty_ledger


def put(kit: Any, key: str = "k", value: bytes | None = b"v", *, coll: str = "c", purge: bool = False) -> Any:
    draft = kit.Draft()
    draft.rwset.add_private_write("cc", coll, key, value, purge=purge)
    return draft


def mark(kit: Any, key: str = "k", *, coll: str = "c") -> Any:
    draft = kit.Draft()
    draft.rwset.add_private_metadata_write("cc", coll, key, {"note": b"n"})
    return draft


def held(ledger: Any, key: str = "k", coll: str = "c") -> dict[str, Any]:
    """The cleartext of each organisation that has one."""
    with ledger.store.snapshot() as view:
        found = {org: view.get_private(org, "cc", coll, key) for org in (*HOLDERS, "RegulatorMSP")}
    return {org: entry for org, entry in found.items() if entry is not None}


def hashed(ledger: Any, key: str = "k", coll: str = "c") -> Any:
    with ledger.store.snapshot() as view:
        return view.get_hash("cc", coll, sha256(key.encode()).digest())


def nothing(ledger: Any, kit: Any) -> None:
    """A block that touches no private data."""
    draft = kit.Draft()
    draft.rwset.add_write("cc", "other", b"v")
    ledger.commit(draft)


def test_members_get_cleartext_and_the_ledger_gets_hashes(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, value=b"secret")) == [0]
    assert held(ledger) == dict.fromkeys(HOLDERS, (b"secret", (2, 0)))
    assert hashed(ledger)[:2] == (sha256(b"secret").digest(), (2, 0))
    assert b"secret" not in ledger.store.block(2).SerializeToString()


def test_whoever_endorsed_supplies_the_members(ledger: Any, kit: Any) -> None:
    draft = put(kit)
    txid, raw = ledger.transaction(draft)
    ledger.transient.put(txid, "RegulatorMSP", draft.rwset.private())
    ledger.commit_raw(raw)
    assert sorted(held(ledger)) == list(HOLDERS)


def test_without_cleartext_only_hashes_are_committed(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, value=b"old"))
    _, raw = ledger.transaction(put(kit, value=b"new"))
    assert ledger.commit_raw(raw) == [0]
    assert hashed(ledger).version == (3, 0)
    assert {entry.version for entry in held(ledger).values()} == {(2, 0)}  # stale, and told so by its version


def test_cleartext_that_differs_from_what_was_endorsed_is_not_taken(ledger: Any, kit: Any) -> None:
    txid, raw = ledger.transaction(put(kit, value=b"endorsed"))
    ledger.transient.put(txid, "LabMSP", put(kit, value=b"other").rwset.private())
    assert ledger.commit_raw(raw) == [0]
    assert held(ledger) == {}


def test_a_delete_removes_hash_and_cleartext(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit))
    ledger.commit(put(kit, value=None))
    assert (hashed(ledger), held(ledger)) == (None, {})


def test_put_and_delete_in_one_block(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit), put(kit, value=None)) == [0, 0]
    assert (hashed(ledger), held(ledger)) == (None, {})
    assert ledger.commit(put(kit, value=None), put(kit, value=b"w")) == [0, 0]
    assert {entry.value for entry in held(ledger).values()} == {b"w"}


def test_metadata_gives_hash_and_cleartext_a_new_version(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit))
    ledger.commit(mark(kit))
    assert hashed(ledger).version == (3, 0)
    assert held(ledger) == dict.fromkeys(HOLDERS, (b"v", (3, 0)))


def test_metadata_does_not_pass_stale_cleartext_off_as_current(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, value=b"old"))
    _, raw = ledger.transaction(put(kit, value=b"new"))
    ledger.commit_raw(raw)
    ledger.commit(mark(kit))
    assert hashed(ledger).version == (4, 0)
    assert {entry.version for entry in held(ledger).values()} == {(2, 0)}


def test_a_private_read_is_checked_against_the_hash(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit))

    def update(version: tuple[int, int]) -> Any:
        draft = put(kit, value=b"w")
        draft.rwset.add_hashed_read("cc", "c", "k", version)
        return draft

    assert ledger.commit(update((2, 0)), update((2, 0))) == [0, 11]
    assert ledger.commit(update((2, 0))) == [11]


def test_data_expire_when_the_block_after_their_time_commits(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, coll="b"))  # block 2 with three blocks to live: gone with block 6
    for _ in range(3):
        nothing(ledger, kit)
    assert ledger.store.height == 6
    assert sorted(held(ledger, coll="b")) == list(HOLDERS)
    assert ledger.store.private_writes(2, "LabMSP")
    nothing(ledger, kit)
    assert (hashed(ledger, coll="b"), held(ledger, coll="b")) == (None, {})
    assert ledger.store.private_writes(2, "LabMSP") == []


def test_a_newer_write_has_its_own_clock(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, coll="b"))
    nothing(ledger, kit)
    ledger.commit(put(kit, value=b"w", coll="b"))  # block 4: gone with block 8
    for _ in range(3):
        nothing(ledger, kit)
    assert {entry.value for entry in held(ledger, coll="b").values()} == {b"w"}
    nothing(ledger, kit)
    assert held(ledger, coll="b") == {}


def test_a_reader_of_expired_data_conflicts(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit, coll="b"))
    late = kit.Draft()
    late.rwset.add_hashed_read("cc", "b", "k", (2, 0))
    for _ in range(4):
        nothing(ledger, kit)
    assert ledger.commit(late) == [11]


def test_a_purge_removes_the_key_from_every_earlier_write_set(ledger: Any, kit: Any) -> None:
    both = put(kit, value=b"one")
    both.rwset.add_private_write("cc", "c", "stays", b"kept")
    ledger.commit(both)
    ledger.commit(put(kit, value=b"two"), put(kit, value=None, purge=True))
    assert (hashed(ledger), held(ledger)) == (None, {})
    assert sorted(held(ledger, "stays")) == list(HOLDERS)
    kept = b"".join(one.rwset for number in (2, 3) for one in ledger.store.private_writes(number))
    assert b"one" not in kept
    assert b"two" not in kept
    assert b"kept" in kept
    assert ledger.commit(put(kit, value=b"three")) == [0]
    assert {entry.value for entry in held(ledger).values()} == {b"three"}


def test_purging_an_absent_key_is_legal(ledger: Any, kit: Any) -> None:
    assert ledger.commit(put(kit, value=None, purge=True)) == [0]


def test_cleartext_of_a_conflicting_transaction_is_kept_for_events_only(ledger: Any, kit: Any) -> None:
    stale = put(kit)
    stale.rwset.add_read("cc", "x", (9, 9))
    unendorsed = put(kit)
    unendorsed.endorsers = ("LabMSP",)
    assert ledger.commit(stale, unendorsed) == [11, 10]
    assert held(ledger) == {}
    assert {(one.org, one.tx) for one in ledger.store.private_writes(2)} == {(org, 0) for org in HOLDERS}


def test_a_member_that_joins_gets_what_is_there(ledger: Any, kit: Any) -> None:
    ledger.commit(put(kit))
    ledger.define(kit.definition(sequence=2, collections=[kit.collection("c", EVERYONE)]))
    assert sorted(held(ledger)) == [*HOLDERS, "RegulatorMSP"]
    assert [one.org for one in ledger.store.private_writes(2)] == [*HOLDERS, "RegulatorMSP"]


def test_private_ranges_follow_utf8_bytes_and_stay_with_their_snapshot(ledger: Any, kit: Any) -> None:
    ledger.commit(*(put(kit, key) for key in ("a", "\uffff", "\U0001d518", "é")))
    view = ledger.store.snapshot()
    ledger.commit(put(kit, "b"), put(kit, "a", value=None))
    assert [key for key, _ in view.range_private("LabMSP", "cc", "c", "", "")] == ["a", "é", "\uffff", "\U0001d518"]
    with ledger.store.snapshot() as now:
        assert [key for key, _ in now.range_private("LabMSP", "cc", "c", "", "é")] == ["b"]
        assert list(now.range_private("RegulatorMSP", "cc", "c", "", "")) == []
