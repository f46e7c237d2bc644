# SPDX-License-Identifier: Apache-2.0
"""Receipts and policies as strangers may write them: each has a verdict or one refusal, and nothing false is proven."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from samplelog import SampleLog, entry, policy_text, witness

from gateway.tlog import notes, policy, receipts
from gateway.tlog.errors import MalformedPolicy, TlogError
from gateway.tlog.proofs import TlogProof

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

SIZE, INDEX = 13, 6
LOG, FORK = SampleLog(SIZE), SampleLog(SIZE, forked=True)
WITNESSES = [witness("w/a"), witness("w/b"), witness("w/c", post_quantum=True)]
TEXT = policy_text(LOG.signer, WITNESSES, "group two 2 w1 w2", "group all-of all two w3", "quorum two")
POLICY = policy.parse(TEXT)
GENUINE = LOG.receipt(INDEX, WITNESSES, extra=entry(INDEX).leaf)
OTHERS = (
    LOG.receipt(INDEX + 1, WITNESSES, size=SIZE - 1),
    FORK.receipt(INDEX, [witness("stranger")]),
    SampleLog(SIZE, "pedigree/other/HospitalMSP").receipt(INDEX, WITNESSES),
)
ODD = (
    b"", b"\n", b"\n\n", b" ", b"\r", b"\x00", b"\xff", b"=", b"A", b"-1", b"0", b"18446744073709551616", b"+",
    "— ".encode(), b"extra ", b"index ", b"c2sp.org/tlog-proof@v1\n", "\u2028".encode(), b"\xed\xa0\x80",
)  # fmt: skip


def _altered(chance: random.Random, content: bytes) -> bytes:
    """The bytes with one to four things changed: lines lost, moved, doubled or of another receipt, letters replaced."""
    for _ in range(chance.randint(1, 4)):
        lines = content.split(b"\n")
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, chance.choice(lines))
            case 2:
                lines[at] = chance.choice(chance.choice(OTHERS).split(b"\n"))
            case 3:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 4:
                place = chance.randint(0, len(lines[at]))
                lines[at] = lines[at][:place] + chance.choice(ODD) + lines[at][place + chance.randint(0, 2) :]
            case _:
                lines = lines[: at + 1]
        content = b"\n".join(lines)
    return content


def _said_well(refusal: TlogError) -> None:
    """A refusal is one short line, whatever the file holds."""
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 500


@pytest.mark.timeout(3_600)
def test_a_receipt_has_a_verdict_or_one_refusal(fuzzing: Fuzzing) -> None:
    for chance in fuzzing.rounds("receipts"):
        content = _altered(chance, GENUINE)
        for asked in (entry(INDEX), None):
            try:
                verdict = receipts.verify(content, asked, POLICY)
            except TlogError as exc:
                _said_well(exc)
                continue
            # Whatever was changed: what is proven is what that log and two of its witnesses signed.
            assert verdict.checkpoint in [LOG.checkpoint(SIZE), LOG.checkpoint(SIZE - 1)]
            assert verdict.leaf == entry(verdict.index).leaf
            assert POLICY.satisfied([each.witness.name for each in verdict.cosignatures])
            assert all(line.isprintable() for line in verdict.text().split("\n"))


@pytest.mark.timeout(3_600)
def test_what_is_read_is_written_the_same(fuzzing: Fuzzing) -> None:
    for chance in fuzzing.rounds("receipts-spelling"):
        content = _altered(chance, GENUINE)
        try:
            proof = TlogProof.parse(content)
            note = notes.parse(proof.checkpoint)
            claim = receipts.read(content)
        except TlogError:
            continue
        assert proof.format() == content
        assert note.format() == proof.checkpoint
        assert all(line.isprintable() for line in claim.text().split("\n"))


@pytest.mark.timeout(3_600)
def test_a_policy_is_read_or_refused_and_never_asks_for_less_than_it_says(fuzzing: Fuzzing) -> None:
    for chance in fuzzing.rounds("policies"):
        try:
            found = policy.parse(_altered(chance, TEXT))
        except MalformedPolicy as exc:
            _said_well(exc)
            continue
        assert policy.parse(found.format()) == found
        assert found.satisfied([]) == (found.quorum is None)


def test_the_genuine_receipt_is_proven() -> None:
    assert len(receipts.verify(GENUINE, entry(INDEX), POLICY).cosignatures) == 3
