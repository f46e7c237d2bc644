# SPDX-License-Identifier: Apache-2.0
"""A witness cosigns what continues the last head and what its own blocks give, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from logs import Member, block, entry

from gateway.services.logs import Head
from gateway.services.ports import PortError, Unavailable
from gateway.services.witnessing import (
    Forked,
    Inconsistent,
    NotAtThatSize,
    NotSigned,
    SubmissionRefused,
    UnknownLog,
)
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.notes import NoteSigner
from gateway.tlog.submissions import Submission


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Member, Member]]:
    """A log, and the witness that it has; both have read the same three blocks."""
    log, witness = Member("LabMSP", tmp_path / "lab"), Member("HospitalMSP", tmp_path / "hospital")
    log.witnessed_by(witness)
    for each in (log, witness):
        each.read(*ledger(3))
    yield log, witness
    for each in (log, witness):
        each.close()


def ledger(height: int, start: int = 0, branch: str = "") -> list:  # type: ignore[type-arg]
    """Blocks with two entries each, but for the first."""
    return [
        block(number, [entry(2 * number + each, branch) for each in range(2)] if number else [], branch)
        for number in range(start, height)
    ]


def submission(log: Member, old: int, size: int | None = None, *signers: NoteSigner) -> bytes:
    """What the log sends for its tree, as it is or as it was."""
    tree = log.leaves.tree()
    size = tree.size if size is None else size
    text = Checkpoint(log.origin, size, tree.root(size)).format()
    proof = tree.consistency(old, size) if 0 < old <= size else []
    return Submission(old, tuple(proof), notes.sign(text, *(signers or (log.log,)))).format()


def test_the_first_head_is_cosigned_from_where_the_witness_itself_stands(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    with pytest.raises(NotAtThatSize) as refused:
        hospital.witness.add_checkpoint(submission(log, 0))
    assert refused.value.size == 4
    lines = hospital.witness.add_checkpoint(submission(log, 4))
    found = {each.key: each for each in notes.parse_signatures(lines)}
    text = Checkpoint(log.origin, 4, log.leaves.tree().root()).format()
    for cosigner in hospital.cosigners:
        assert cosigner.verifier.verify(text, found[cosigner.key].value) == 1_767_225_600
    assert len(found) == 2


def test_a_witness_goes_on_with_the_log_and_never_back(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    for each in pair:
        each.read(*ledger(5, 3))
    hospital.witness.add_checkpoint(submission(log, 4))
    assert hospital.heads.witnessed(log.origin) == Head(8, log.leaves.tree().root())
    hospital.witness.add_checkpoint(submission(log, 8))
    for old, size in ((0, 4), (4, 6), (0, 8), (4, 8), (4, 4)):
        with pytest.raises(NotAtThatSize) as refused:
            hospital.witness.add_checkpoint(submission(log, old, size))
        assert refused.value.size == 8
    assert hospital.heads.refusals() == []


def test_a_log_that_forks_behind_what_was_cosigned_is_refused_and_said_so(
    pair: tuple[Member, Member], caplog: pytest.LogCaptureFixture
) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    fork = Member("LabMSP", log.folder.parent / "fork")
    fork.read(*ledger(5, branch="b"))
    hospital.read(*ledger(5, 3))
    with pytest.raises(Inconsistent, match="does not continue the 4 entries"):
        hospital.witness.add_checkpoint(submission(fork, 4))
    with pytest.raises(NotAtThatSize):
        hospital.witness.add_checkpoint(submission(fork, 4, 4))
    fork.close()
    assert hospital.heads.witnessed(log.origin) == Head(4, log.leaves.tree().root())
    assert [each.origin for each in hospital.heads.refusals()] == [log.origin] * 2
    assert log.log.verifier.name.encode() in hospital.heads.refusals()[0].note
    assert hospital.meter.counts["log-fork-seen"] == 2
    assert "forked, and is not cosigned" in caplog.text


def test_a_consistent_head_that_the_ledger_does_not_give_is_refused(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    log.read(block(3, [entry(77)], ""))
    hospital.read(block(3, [entry(78)], ""))
    with pytest.raises(Forked, match="5 entries is not the one that the ledger gives"):
        hospital.witness.add_checkpoint(submission(log, 4))
    assert hospital.heads.refusals()[0].origin == log.origin


def test_a_witness_that_has_not_read_so_far_waits_and_then_says_so(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    log.read(*ledger(4, 3))
    with pytest.raises(Unavailable, match="has read 4 entries itself"):
        hospital.witness.add_checkpoint(submission(log, 4))
    assert hospital.heads.refusals() == []
    hospital.patience = 10.0
    hospital.reopen()
    reading = threading.Timer(0.05, lambda: hospital.read(*ledger(4, 3)))
    reading.start()
    hospital.witness.add_checkpoint(submission(log, 4))
    reading.join()


def test_a_witness_that_lost_its_disk_cosigns_nothing_older_than_before(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    hospital.read(*ledger(5, 3))
    log.read(*ledger(5, 3))
    with pytest.raises(NotAtThatSize):
        hospital.witness.add_checkpoint(submission(log, 0))
    hospital.witness.add_checkpoint(submission(log, 8))
    hospital.caught_up = False
    hospital.reopen("readmodel", "log")
    hospital.read(*ledger(3))
    with pytest.raises(Unavailable, match="still reading"):
        hospital.witness.add_checkpoint(submission(log, 4, 6))
    hospital.read(*ledger(5, 3))
    hospital.caught_up = True
    for old, size in ((0, 4), (0, 6), (4, 6), (6, 6)):
        with pytest.raises(NotAtThatSize) as refused:
            hospital.witness.add_checkpoint(submission(log, old, size))
        assert refused.value.size == 8
    assert hospital.witness.add_checkpoint(submission(log, 8))


def test_of_two_submissions_at_once_one_is_judged(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    assert hospital.heads.witness(log.origin, 0, Head(9, b"r" * 32)) is False
    assert hospital.heads.witness(log.origin, 4, Head(3, b"r" * 32)) is False
    assert hospital.heads.witnessed(log.origin) == Head(4, log.leaves.tree().root())


@pytest.mark.parametrize(
    ("content", "refusal", "said"),
    [
        (b"", SubmissionRefused, "no checkpoint behind an empty line"),
        (b"old 1\n\n", SubmissionRefused, "no checkpoint"),
        (b"size 1\n\nx\n", SubmissionRefused, "does not begin with the line of the old size"),
        (b"old 01\n\nx\n", SubmissionRefused, "leading zeros"),
        (b"old 1\n!\n\nx\n", SubmissionRefused, "not standard base64"),
        (b"old 1\nAAAA\n\nx\n", SubmissionRefused, "has 32 bytes"),
        (b"old 1\n" + b"A" * 43 + b"=\n" * 70 + b"\n\nx\n", SubmissionRefused, "more than 63 hashes|base64"),
        (b"old 1\n\nno note\n", SubmissionRefused, "no empty line"),
        (b"old 1\n\n" + b"x" * 70_000, SubmissionRefused, "64 KiB"),
    ],
)
def test_what_is_no_submission_is_refused_in_a_sentence_of_its_own(
    pair: tuple[Member, Member], content: bytes, refusal: type[PortError], said: str
) -> None:
    with pytest.raises(refusal, match=said):
        pair[1].witness.add_checkpoint(content)


def test_who_asks_must_be_a_log_that_is_known_by_its_key(pair: tuple[Member, Member]) -> None:
    log, hospital = pair
    stranger = Member("EvilMSP", log.folder.parent / "evil")
    stranger.read(*ledger(3))
    with pytest.raises(UnknownLog):
        hospital.witness.add_checkpoint(submission(stranger, 4))
    with pytest.raises(NotSigned, match="No key that is trusted"):
        hospital.witness.add_checkpoint(submission(log, 4, None, stranger.log))
    genuine = submission(log, 4)
    with pytest.raises(NotSigned, match="is not over this text"):
        hospital.witness.add_checkpoint(genuine.replace(b"\n4\n", b"\n5\n"))
    with pytest.raises(SubmissionRefused, match="old size is greater"):
        hospital.witness.add_checkpoint(submission(log, 9))
    stranger.close()
    assert hospital.heads.witnessed(log.origin) is None
    assert hospital.heads.refusals() == []


def test_a_fork_that_is_sent_again_is_neither_kept_nor_said_again(
    pair: tuple[Member, Member], caplog: pytest.LogCaptureFixture
) -> None:
    log, hospital = pair
    hospital.witness.add_checkpoint(submission(log, 4))
    forked = notes.sign(Checkpoint(log.origin, 4, b"\x01" * 32).format(), log.log)
    own = notes.parse(forked).signatures[0]
    other = notes.NoteSignature("somebody", b"abcd", b"a line of nobody's")
    for added in ((), (other,), (own,), (own, other, own)):
        content = Submission(4, (), notes.parse(forked).with_signatures(*added).format()).format()
        with pytest.raises(NotAtThatSize):
            hospital.witness.add_checkpoint(content)
    assert [each.note for each in hospital.heads.refusals()] == [forked]
    assert len([each for each in caplog.records if each.levelname == "CRITICAL"]) == 1
    assert hospital.meter.counts["log-fork-seen"] == 4


def test_refusals_are_bounded_and_the_first_of_each_log_is_kept(pair: tuple[Member, Member]) -> None:
    from gateway.services.logs import Refusal

    heads = pair[1].heads
    for number in range(150):
        heads.refuse(Refusal("a" if number else "first", float(number), f"{number}", b"note %d" % number))
    kept = heads.refusals()
    assert [each.why for each in kept[-2:]] == ["1", "0"]
    assert len(kept) == 102
