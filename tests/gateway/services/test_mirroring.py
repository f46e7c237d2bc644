# SPDX-License-Identifier: Apache-2.0
"""A mirror states that it has a log's entries, where it has: up to what the log has signed, and never back."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from logs import Member, block, entry, policy_of

from gateway.services.logs import Head, SignedHead
from gateway.services.mirroring import AnotherUpload, NothingPending, UploadRefused
from gateway.services.ports import Unavailable
from gateway.services.witnessing import Forked, Inconsistent, NotAtThatSize, UnknownLog
from gateway.tlog import notes, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import RefutedReceipt
from gateway.tlog.policy import Group, Policy, Witness
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import Upload


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Member, Member]]:
    """A log, and the mirror that it has; both have read the same three blocks with four entries."""
    log, mirror = Member("LabMSP", tmp_path / "lab"), Member("HospitalMSP", tmp_path / "hospital")
    log.witnessed_by(mirror)
    log.mirrored_by(mirror)
    read(pair := (log, mirror), 0, 3)
    yield pair
    for each in pair:
        each.close()


def read(members: tuple[Member, ...], start: int, height: int, branch: str = "") -> None:
    """Blocks with two entries each, but for the first."""
    for number in range(start, height):
        entries = [entry(2 * number + each, branch) for each in range(2)] if number else []
        for each in members:
            each.read(block(number, entries, branch))


def checkpoint(log: Member, size: int | None = None) -> Checkpoint:
    tree = log.leaves.tree()
    size = tree.size if size is None else size
    return Checkpoint(log.origin, size, tree.root(size))


def pend(log: Member, mirror: Member, old: int) -> Checkpoint:
    """Have the log's checkpoint, as it is, witnessed and so pending."""
    found = checkpoint(log)
    proof = log.leaves.tree().consistency(old, found.size) if old else []
    mirror.witness.add_checkpoint(Submission(old, tuple(proof), notes.sign(found.format(), log.log)).format())
    return found


def upload(log: Member, start: int, end: int | None = None) -> bytes:
    return Upload(log.origin, start, start if end is None else end).format()


def signed(text: bytes, lines: bytes, mirror: Member) -> bool:
    """Whether these are the lines of both of the mirror's keys, and of no other, over a text."""
    found = notes.verify(
        notes.Note(text, notes.parse_signatures(lines)), {each.key: each.verifier for each in mirror.mirrors}
    )
    return found.keys() == {each.key for each in mirror.mirrors} and len(lines.splitlines()) == 2


def test_what_is_pending_is_mirrored_and_cosigned_by_the_mirrors_own_keys(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    found = pend(log, hospital, 4)
    assert hospital.mirror.mirrored() == {log.origin: None}
    lines = hospital.mirror.add_entries(upload(log, 4))
    assert signed(found.format(), lines, hospital)
    assert {each.key for each in hospital.mirrors}.isdisjoint({each.key for each in hospital.cosigners})
    kept = hospital.heads.mirrored(log.origin)
    assert kept is not None
    assert kept.head == Head(4, found.root)
    note = notes.parse(kept.note)
    assert [each.name for each in note.signatures] == [log.origin, *[f"{hospital.origin}/mirror"] * 2]
    assert hospital.mirror.find(sha256(log.origin.encode()).hexdigest()) == kept
    assert hospital.mirror.find("00" * 32) is None
    assert hospital.meter.counts["log-mirrored"] == 1


def test_asked_again_it_answers_the_lines_that_it_has_kept(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    pend(log, hospital, 4)
    lines = hospital.mirror.add_entries(upload(log, 4))
    assert hospital.mirror.add_entries(upload(log, 4)) == lines
    read(pair, 3, 5)
    pend(log, hospital, 4)
    assert hospital.mirror.add_entries(upload(log, 4)) == lines, "of a smaller tree nothing new is stated"
    hospital.mirror.add_entries(upload(log, 8))
    with pytest.raises(AnotherUpload):
        hospital.mirror.add_entries(upload(log, 4))
    assert hospital.meter.counts["log-mirrored"] == 2


@pytest.mark.parametrize(("start", "end"), [(0, 4), (3, 4), (0, 0), (2, 2), (5, 5), (4, 5), (9, 9)])
def test_who_offers_entries_is_told_that_all_are_here(pair: tuple[Member, Member], start: int, end: int) -> None:
    """A client of the specification's goes on with what it is told: it comes to the pending size and no entry."""
    log, hospital = pair
    pend(log, hospital, 4)
    with pytest.raises(AnotherUpload) as refused:
        hospital.mirror.add_entries(upload(log, start, end))
    assert (refused.value.size, refused.value.following) == (4, 4)
    assert hospital.heads.mirrored(log.origin) is None
    assert hospital.mirror.add_entries(upload(log, refused.value.following, refused.value.size))


def test_before_a_log_has_signed_anything_here_nothing_is_mirrored(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    with pytest.raises(NothingPending):
        hospital.mirror.add_entries(upload(log, 4))
    with pytest.raises(NotAtThatSize):  # now the witness keeps a head of its own ledger, which no log has signed
        pend(log, hospital, 0)
    with pytest.raises(NothingPending):
        hospital.mirror.add_entries(upload(log, 4))


def test_a_log_that_is_not_known_is_not_mirrored(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    pend(log, hospital, 4)
    with pytest.raises(UnknownLog):
        hospital.mirror.add_entries(Upload("pedigree/pedigree/EvilMSP", 4, 4).format())
    hospital.logs.clear()
    with pytest.raises(UnknownLog):
        hospital.mirror.add_entries(upload(log, 4))
    with pytest.raises(UploadRefused, match="not an upload to a mirror"):
        hospital.mirror.add_entries(b"\x00")


def test_a_log_that_forks_moves_nothing(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    genuine = pend(log, hospital, 4)
    hospital.mirror.add_entries(upload(log, 4))
    fork = Member("LabMSP", log.folder.parent / "fork")
    read((fork,), 0, 5, "b")
    read((hospital,), 3, 5)
    with pytest.raises(Inconsistent):
        pend(fork, hospital, 4)
    fork.close()
    with pytest.raises(AnotherUpload):
        hospital.mirror.add_entries(upload(log, 8))
    kept = hospital.heads.mirrored(log.origin)
    assert kept is not None
    assert kept.head == Head(4, genuine.root)


def test_entries_that_are_not_the_checkpoints_are_not_stated_to_be_there(pair: tuple[Member, Member]) -> None:
    """The read model is built again from another chain than the one that was witnessed."""
    log, hospital = pair
    pend(log, hospital, 4)
    hospital.reopen("readmodel")
    with pytest.raises(Unavailable, match="has read 0 entries itself"):
        hospital.mirror.add_entries(upload(log, 4))
    read((hospital,), 0, 3, "b")
    with pytest.raises(Forked, match="not the one that the ledger gives"):
        hospital.mirror.add_entries(upload(log, 4))
    assert hospital.heads.mirrored(log.origin) is None


def test_a_mirror_does_not_go_back_and_remembers(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    first = pend(log, hospital, 4)
    hospital.mirror.add_entries(upload(log, 4))
    before = hospital.heads.mirrored(log.origin)
    read(pair, 3, 5)
    pend(log, hospital, 4)
    hospital.mirror.add_entries(upload(log, 8))
    assert before is not None
    assert not hospital.heads.mirror(log.origin, SignedHead(Head(4, first.root), before.note))
    hospital.reopen()
    kept = hospital.heads.mirrored(log.origin)
    assert kept is not None
    assert kept.head.size == 8


def test_keys_that_are_new_sign_what_is_mirrored_once_more(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    found = pend(log, hospital, 4)
    hospital.mirrors = hospital.mirrors[:1]
    hospital.reopen()
    hospital.mirror.add_entries(upload(log, 4))
    hospital.__post_init__()
    assert signed(found.format(), hospital.mirror.add_entries(upload(log, 4)), hospital)


# --- The log that asks ----------------------------------------------------------------------------------------------


def policy_with_mirrors(log: Member, mirror: Member) -> Policy:
    """That the log's members and the mirror must have cosigned."""
    members = policy_of([log, mirror], 2)
    names = [f"mirror-{number}".encode() for number, _ in enumerate(mirror.mirrors)]
    stating = {name: Witness(name, each.verifier) for name, each in zip(names, mirror.mirrors, strict=True)}
    groups = (*members.groups, Group(b"mirrors", 1, tuple(names)), Group(b"both", 2, (b"members", b"mirrors")))
    return Policy(members.logs, {**members.witnesses, **stating}, groups, b"both")


def test_a_receipt_names_the_mirror_where_the_log_asks_one(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    trusted = policy_with_mirrors(log, hospital)
    for size, asked in ((4, 7), (6, 9)):  # at first both are asked for the size, and the mirror whether it is a witness
        log.publisher.round()
        content = log.publisher.receipt(entry(size - 1 + 2).transaction.hex(), 1.0)
        verdict = receipts.verify(content, None, trusted)
        assert {each.witness.verifier.name for each in verdict.cosignatures} == {
            f"{log.origin}/witness", f"{hospital.origin}/witness", f"{hospital.origin}/mirror",
        }  # fmt: skip
        told = [each for each in verdict.proven if "/mirror" in each]
        assert all("states that it keeps a copy of all these entries" in each for each in told)
        assert log.net.asked <= asked
        assert [each.trouble for each in log.publisher.standings()] == [None, None]
        read(pair, size // 2 + 1, size // 2 + 2)
    stripped = [line for line in content.split(b"\n") if b"/mirror" not in line]
    with pytest.raises(RefutedReceipt, match="quorum 'both'"):
        receipts.verify(b"\n".join(stripped), None, trusted)


def test_a_receipt_is_as_long_as_before_where_no_mirror_is_asked(pair: tuple[Member, Member]) -> None:
    log, _ = pair
    log.asked = log.asked[:1]
    log.publisher.round()
    assert b"/mirror" not in log.publisher.receipt(entry(3).transaction.hex(), 1.0)


def test_a_mirror_alone_is_asked_without_its_witness(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    log.asked = log.asked[1:]
    log.publisher.round()
    latest = log.publisher.latest()
    assert latest is not None
    assert latest.witnesses == (f"{hospital.origin}/mirror",)
    read(pair, 3, 4)
    log.publisher.round()
    latest = log.publisher.latest()
    assert latest is not None
    assert (latest.head.size, latest.witnesses) == (6, (f"{hospital.origin}/mirror",))


def test_a_witness_that_is_no_mirror_is_said_to_be_none(pair: tuple[Member, Member]) -> None:
    log, _ = pair
    log.net.answers["HospitalMSP"] = b""
    log.publisher.round()
    assert {each.trouble for each in log.publisher.standings()} == {
        "it answered with no signature of its known keys, and it is not a mirror"
    }
