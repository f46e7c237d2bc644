# SPDX-License-Identifier: Apache-2.0
"""Which endorsement policy holds for which write (rules V-24 to V-28)."""

from typing import Any

from network.embedded.policy import parse

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"


def write(kit: Any, *endorsers: str, key: str = "k", owner: str | None = None, value: bytes | None = b"v") -> Any:
    draft = kit.Draft(endorsers=endorsers)
    if value is not None:
        draft.rwset.add_write("cc", key, value)
    if owner is not None:
        set_owner(draft, key, owner)
    return draft


def set_owner(draft: Any, key: str, policy: str) -> None:
    raw = parse(policy).SerializeToString() if policy else b""
    entries = {"VALIDATION_PARAMETER": raw} if policy else {}
    draft.rwset.add_metadata_write("cc", key, entries)


def mark(kit: Any, *endorsers: str, owner: str, key: str = "k") -> Any:
    return write(kit, *endorsers, key=key, owner=owner, value=None)


def private(kit: Any, *endorsers: str, coll: str = "c", key: str = "k", value: bytes | None = b"v") -> Any:
    draft = kit.Draft(endorsers=endorsers)
    draft.rwset.add_private_write("cc", coll, key, value)
    return draft


def test_a_new_key_is_under_the_chaincode_policy_even_if_it_gets_an_owner(ledger: Any, kit: Any) -> None:
    assert ledger.commit(write(kit, REGULATOR, owner="OR('RegulatorMSP.peer')")) == [10]
    assert ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')")) == [0]


def test_a_key_with_a_policy_needs_that_and_not_the_chaincode_policy(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')"))
    assert ledger.commit(write(kit, HOSPITAL, LAB)) == [10]
    assert ledger.commit(write(kit, REGULATOR)) == [0]


def test_the_old_policy_decides_about_the_new_one(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')"))
    assert ledger.commit(mark(kit, LAB, owner="OR('LabMSP.peer')")) == [10]
    assert ledger.commit(mark(kit, REGULATOR, owner="OR('LabMSP.peer')")) == [0]
    assert ledger.commit(write(kit, REGULATOR)) == [10]
    assert ledger.commit(write(kit, LAB)) == [0]


def test_a_second_key_without_policy_brings_the_chaincode_policy_back(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')"))
    both = write(kit, REGULATOR)
    both.rwset.add_write("cc", "other", b"v")
    assert ledger.commit(both) == [10]


def test_an_emptied_policy_falls_back_to_the_chaincode_policy(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')"))
    assert ledger.commit(mark(kit, REGULATOR, owner="")) == [0]
    assert ledger.commit(write(kit, HOSPITAL, LAB)) == [0]


def test_a_delete_resets_the_policy(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB, owner="OR('RegulatorMSP.peer')"))
    gone = kit.Draft(endorsers=(REGULATOR,))
    gone.rwset.add_write("cc", "k", None)
    assert ledger.commit(gone) == [0]
    assert ledger.commit(write(kit, HOSPITAL, LAB)) == [0]


def test_a_policy_that_cannot_be_read_locks_its_key(ledger: Any, kit: Any) -> None:
    draft = write(kit, HOSPITAL, LAB)
    draft.rwset.add_metadata_write("cc", "k", {"VALIDATION_PARAMETER": b"\xff\xff"})
    ledger.commit(draft)
    assert ledger.commit(write(kit, HOSPITAL, LAB, REGULATOR)) == [10]


def test_a_policy_change_blocks_later_writes_of_the_block(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB))
    change = mark(kit, HOSPITAL, LAB, owner="OR('LabMSP.peer')")
    assert ledger.commit(change, write(kit, HOSPITAL, LAB), write(kit, HOSPITAL, LAB, key="x")) == [0, 10, 0]


def test_so_does_one_that_conflicts_afterwards(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB))
    change = mark(kit, HOSPITAL, LAB, owner="OR('LabMSP.peer')")
    change.rwset.add_read("cc", "k", (9, 9))
    assert ledger.commit(change, write(kit, HOSPITAL, LAB)) == [11, 10]


def test_but_not_one_that_was_not_endorsed(ledger: Any, kit: Any) -> None:
    ledger.commit(write(kit, HOSPITAL, LAB))
    assert ledger.commit(mark(kit, LAB, owner="OR('LabMSP.peer')"), write(kit, HOSPITAL, LAB)) == [10, 0]


def test_reading_only_is_under_the_chaincode_policy(ledger: Any, kit: Any) -> None:
    draft = kit.Draft(endorsers=(LAB,))
    draft.rwset.add_read("cc", "k", None)
    assert ledger.commit(draft) == [10]


def test_a_collection_policy_replaces_the_chaincode_policy(empty_ledger: Any, kit: Any) -> None:
    members = "OR('HospitalMSP.member','LabMSP.member')"
    own = kit.collection("own", members, policy="OR('LabMSP.peer')")
    empty_ledger.define(kit.definition(collections=[own, kit.collection("c", members)]))
    assert empty_ledger.commit(private(kit, LAB, coll="own")) == [0]
    assert empty_ledger.commit(private(kit, LAB, coll="c")) == [10]
    both = private(kit, LAB, coll="own")
    both.rwset.add_write("cc", "k", b"v")
    assert empty_ledger.commit(both) == [10]
    assert empty_ledger.commit(private(kit, HOSPITAL, LAB, coll="nowhere")) == [10]


def test_a_private_key_policy_replaces_the_collection_policy(empty_ledger: Any, kit: Any) -> None:
    own = kit.collection("own", "OR('HospitalMSP.member','LabMSP.member')", policy="OR('LabMSP.peer')")
    empty_ledger.define(kit.definition(collections=[own]))
    first = private(kit, LAB, coll="own")
    raw = parse("OR('HospitalMSP.peer')").SerializeToString()
    first.rwset.add_private_metadata_write("cc", "own", "k", {"VALIDATION_PARAMETER": raw})
    assert empty_ledger.commit(first) == [0]
    assert empty_ledger.commit(private(kit, LAB, coll="own")) == [10]
    assert empty_ledger.commit(private(kit, HOSPITAL, coll="own")) == [0]


def test_an_implicit_collection_needs_its_organisation(ledger: Any, kit: Any) -> None:
    coll = "_implicit_org_LabMSP"
    assert ledger.commit(private(kit, HOSPITAL, coll=coll)) == [10]
    assert ledger.commit(private(kit, LAB, coll=coll)) == [0]
    assert ledger.commit(private(kit, LAB, coll="_implicit_org_NoMSP")) == [10]


def test_a_collection_without_a_name_is_an_undefined_one(ledger: Any, kit: Any) -> None:
    assert ledger.commit(private(kit, HOSPITAL, LAB, coll="")) == [10]
