# SPDX-License-Identifier: Apache-2.0
"""The log that an organisation publishes: what is signed, what never is, and what receipts prove."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import Counts, Member, block, entry, policy_of

from chaincode.domain import merkle
from gateway.services.logs import Head, Published, serving
from gateway.services.ports import Unavailable
from gateway.services.publishing import NotLogged, pace
from gateway.tlog import notes, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import RefutedReceipt, TlogError


def entries(count: int, start: int = 0, branch: str = "") -> list:  # type: ignore[type-arg]
    return [entry(number, branch) for number in range(start, start + count)]


@pytest.fixture
def members(tmp_path: Path) -> Iterator[list[Member]]:
    """Three organisations; each is a log that the two others witness."""
    made = [Member(name, tmp_path / name) for name in ("LabMSP", "HospitalMSP", "RegulatorMSP")]
    for each in made:
        for other in made:
            if each is not other:
                each.witnessed_by(other)
    yield made
    for each in made:
        each.close()


def until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def publish(members: list[Member], *blocks) -> None:  # type: ignore[no-untyped-def]
    """Every organisation reads these blocks, and the first one publishes."""
    for each in members:
        each.read(*blocks)
    members[0].publisher.round()


def test_the_log_holds_every_valid_transaction_in_the_order_of_the_ledger(members: list[Member]) -> None:
    first, second = entries(3), entries(400, 3)
    publish(members, block(0, []), block(1, first), block(2, second))
    latest = members[0].publisher.latest()
    assert latest is not None
    found = Checkpoint.parse(notes.parse(latest.note).text)
    assert found == Checkpoint("pedigree/pedigree/LabMSP", 403, merkle.root([each.leaf for each in (*first, *second)]))
    assert members[1].leaves.tree().root() == found.root


def test_a_receipt_proves_the_entry_under_a_policy_of_two_of_three(members: list[Member]) -> None:
    publish(members, block(0, []), block(1, entries(5)), block(2, entries(300, 5)))
    lab = members[0]
    for number in (0, 4, 5, 255, 256, 304):
        wanted = entry(number)
        content = lab.publisher.receipt(wanted.transaction.hex(), 1.0)
        verdict = receipts.verify(content, wanted, policy_of(members, 3))
        assert verdict.index == number
        assert {each.witness.name.rpartition(b"-")[0] for each in verdict.cosignatures} == {
            b"LabMSP", b"HospitalMSP", b"RegulatorMSP",
        }  # fmt: skip
        assert verdict.extra == wanted.leaf
        with pytest.raises(RefutedReceipt):
            receipts.verify(content, entry(number, "another"), policy_of(members, 3))


def test_what_is_not_valid_has_no_receipt(members: list[Member]) -> None:
    publish(members, block(0, []), block(1, entries(1)))
    for transaction in ("ee" * 31 + "01", "ab" * 32):
        with pytest.raises(NotLogged):
            members[0].publisher.receipt(transaction, 0.0)


def test_before_anything_is_signed_a_receipt_is_to_be_asked_for_again(members: list[Member]) -> None:
    members[0].read(block(0, []), block(1, entries(1)))
    with pytest.raises(Unavailable, match="about to be signed"):
        members[0].publisher.receipt(entry(0).transaction.hex(), 0.0)
    assert members[0].publisher.latest() is None


def test_an_empty_log_signs_nothing(members: list[Member]) -> None:
    publish(members, block(0, []))
    assert members[0].publisher.latest() is None


def test_a_witness_that_is_down_is_missing_from_the_receipt_and_asked_again(members: list[Member]) -> None:
    lab = members[0]
    lab.net.down.add("RegulatorMSP")
    publish(members, block(0, []), block(1, entries(2)))
    content = lab.publisher.receipt(entry(0).transaction.hex(), 1.0)
    with pytest.raises(TlogError, match="quorum"):
        receipts.verify(content, entry(0), policy_of(members, 3))
    receipts.verify(content, entry(0), policy_of(members, 2))
    standings = {each.asked.url: each for each in lab.publisher.standings()}
    assert standings["RegulatorMSP"].trouble == "it cannot be reached"
    assert standings["HospitalMSP"].trouble is None
    assert lab.meter.counts["witness-unavailable"] == 1

    lab.net.down.clear()
    lab.publisher.start()
    until(lambda: len(lab.publisher.latest().witnesses) == 2)  # type: ignore[union-attr]
    receipts.verify(lab.publisher.receipt(entry(0).transaction.hex(), 0.0), entry(0), policy_of(members, 3))


def test_the_thread_publishes_what_was_read_and_a_receipt_waits_for_it(members: list[Member]) -> None:
    lab = members[0]
    lab.publisher.start()
    for each in reversed(members):  # the witnesses first: they wait for blocks but a moment
        each.read(block(0, []), block(1, entries(1)))
    receipts.verify(lab.publisher.receipt(entry(0).transaction.hex(), 5.0), entry(0), policy_of(members, 3))
    until(lambda: "receipt" in lab.meter.seconds)  # it is noted once the receipt can be had


def test_slow_witnesses_hold_up_neither_reading_nor_signing(members: list[Member]) -> None:
    lab = members[0]
    lab.net.hold = threading.Event()
    lab.publisher.start()
    began = time.monotonic()
    for number in range(200):
        lab.read(block(number, entries(1, number)))
    until(lambda: lab.publisher.latest() is not None)
    lab.publisher.receipt(entry(0).transaction.hex(), 0.0)
    assert time.monotonic() - began < 10
    assert lab.net.asked <= 2, "each is asked once at a time"
    lab.net.hold.set()


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", "— somebody AAAAAAAAAAAA\n".encode()])
def test_a_witness_that_answers_nonsense_is_refused(members: list[Member], answer: bytes) -> None:
    lab = members[0]
    lab.net.answers["HospitalMSP"] = answer
    publish(members, block(0, []), block(1, entries(1)))
    assert lab.publisher.latest().witnesses == ("pedigree/pedigree/RegulatorMSP/witness",)  # type: ignore[union-attr]
    assert lab.meter.counts["witness-refused"] == 1


def test_a_false_cosignature_by_the_right_name_is_refused(members: list[Member]) -> None:
    lab, hospital, regulator = members
    publish(members, block(0, []), block(1, entries(1)))
    old = notes.parse(lab.publisher.latest().note)  # type: ignore[union-attr]
    lines = [each for each in old.signatures if each.key in {one.key for one in hospital.cosigners}]
    lab.net.answers["HospitalMSP"] = b"".join(each.format() for each in lines)
    publish([lab, regulator], block(2, entries(1, 1)))
    assert lab.publisher.latest().witnesses == (f"{regulator.origin}/witness",)  # type: ignore[union-attr]
    assert "is not over this text" in str(lab.publisher.standings()[0].trouble)


# --- A policy that changes ------------------------------------------------------------------------------------------


@pytest.fixture
def strangers(tmp_path: Path) -> Iterator[list[Member]]:
    """Two organisations that have agreed on nothing yet; the first one publishes, of one block that both read."""
    made = [Member(name, tmp_path / name) for name in ("LabMSP", "HospitalMSP")]
    for each in made:
        each.read(block(0, []), block(1, entries(1)))
    made[0].publisher.start()
    until(lambda: made[0].publisher.latest() is not None)
    yield made
    for each in made:
        each.close()


class Once(set[str]):
    """Holds each of its items until it is asked for it."""

    def __contains__(self, item: object) -> bool:
        found = super().__contains__(item)
        self.discard(str(item))
        return found


def complete(log: Member) -> bool:
    """Whether as many as the log asks have cosigned its last checkpoint."""
    latest = log.publisher.latest()
    return latest is not None and len(latest.witnesses) == len(log.asked)


def long_refused(log: Member) -> None:
    """Each witness has failed, and is to be asked again in an hour."""
    until(lambda: any(each.trouble and each.answer.done() for each in log.publisher.standings()))  # type: ignore[union-attr]
    for each in log.publisher.standings():
        each.pause, each.due = 3_600.0, time.monotonic() + 3_600.0


def test_a_policy_that_comes_later_is_gone_by_at_once_though_no_block_comes(strangers: list[Member]) -> None:
    lab, hospital = strangers
    lab.witnessed_by(hospital)
    until(lambda: complete(lab) and len(lab.asked) == 1)
    receipts.verify(lab.publisher.receipt(entry(0).transaction.hex(), 0.0), entry(0), policy_of(strangers, 2))


def test_a_receipt_waits_for_those_that_a_changed_policy_asks(strangers: list[Member]) -> None:
    lab, hospital = strangers
    lab.publisher.receipt(entry(0).transaction.hex(), 10.0)  # nobody is waited for any more
    lab.net.hold = threading.Event()
    lab.witnessed_by(hospital)
    until(lambda: lab.net.asked == 1)
    threading.Timer(0.2, lab.net.hold.set).start()
    receipts.verify(lab.publisher.receipt(entry(0).transaction.hex(), 10.0), entry(0), policy_of(strangers, 2))


def test_a_changed_policy_forgets_who_failed_before(strangers: list[Member], tmp_path: Path) -> None:
    lab, hospital = strangers
    lab.net.down.add("HospitalMSP")
    lab.witnessed_by(hospital)
    long_refused(lab)
    lab.net.down.clear()
    regulator = Member("RegulatorMSP", tmp_path / "regulator")
    regulator.read(block(0, []), block(1, entries(1)))
    lab.witnessed_by(regulator)
    until(lambda: complete(lab) and len(lab.asked) == 2)
    regulator.close()


def test_a_failure_under_the_policy_before_puts_nothing_off(strangers: list[Member]) -> None:
    lab, hospital = strangers
    lab.net.hold = threading.Event()
    lab.net.down = Once({"HospitalMSP"})
    lab.witnessed_by(hospital)
    until(lambda: lab.net.asked == 1)
    lab.witnessed_by(hospital)  # the list is another one, with the same witness
    lab.publisher.round()
    lab.publisher.standings()[0].pause = 3_600.0  # of what is under way; it would be asked again after half a minute
    lab.net.hold.set()
    until(lambda: len(lab.publisher.latest().witnesses) == 1)  # type: ignore[union-attr]


def test_who_asks_us_is_asked_again_at_once(strangers: list[Member]) -> None:
    lab, hospital = strangers
    lab.net.down.add("HospitalMSP")
    lab.witnessed_by(hospital)
    long_refused(lab)
    lab.net.down.clear()
    hospital.witnessed_by(lab)
    hospital.publisher.round()
    assert complete(hospital)
    until(lambda: complete(lab))


# --- What a crash leaves -------------------------------------------------------------------------------------------


def test_a_head_is_kept_before_anybody_sees_it(members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = members[0]
    lab.read(block(0, []), block(1, entries(3)))
    kept: list[Published] = []

    def killed(published: Published) -> None:
        kept.append(published)
        raise SystemExit

    monkeypatch.setattr(lab.heads, "sign", killed)
    with pytest.raises(SystemExit):
        lab.publisher.round()
    assert kept
    assert lab.net.asked == 0
    assert lab.publisher.latest() is None


def test_after_a_kill_between_signing_and_giving_out_the_same_head_is_given_out(members: list[Member]) -> None:
    lab = members[0]
    for each in members:
        each.read(block(0, []), block(1, entries(3)))
    lab.net.down |= {"HospitalMSP", "RegulatorMSP"}
    lab.publisher.round()
    signed = lab.heads.signed()
    lab.reopen()
    lab.net.down.clear()
    assert lab.publisher.latest().head == signed  # type: ignore[union-attr]
    lab.publisher.round()
    assert len(lab.publisher.latest().witnesses) == 2  # type: ignore[union-attr]


def test_a_log_that_lost_its_rows_signs_nothing_until_it_has_read_as_far_again(members: list[Member]) -> None:
    lab = members[0]
    publish(members, block(0, []), block(1, entries(3)), block(2, entries(3, 3)))
    signed = lab.heads.signed()
    lab.reopen("readmodel")
    lab.read(block(0, []), block(1, entries(3)))
    lab.publisher.round()
    assert lab.heads.signed() == signed
    assert "6 entries were signed, and only 3" in str(lab.publisher.trouble)
    lab.read(block(2, entries(3, 3)), block(3, entries(1, 6)))
    lab.publisher.round()
    assert lab.publisher.trouble is None
    assert lab.heads.signed().size == 7  # type: ignore[union-attr]


def test_a_log_on_another_branch_of_the_ledger_signs_nothing(
    members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    lab = members[0]
    publish(members, block(0, []), block(1, entries(3)))
    signed = lab.heads.signed()
    lab.reopen("readmodel")
    lab.read(block(0, []), block(1, entries(5, branch="b"), "b"))
    for _ in range(2):
        lab.publisher.round()
    assert lab.heads.signed() == signed
    assert "does not continue the 3 entries" in str(lab.publisher.trouble)
    assert lab.meter.counts["log-forked"] == 2
    assert len([each for each in caplog.records if each.levelname == "CRITICAL"]) == 1


def test_a_rebuild_comes_to_the_same_log(members: list[Member]) -> None:
    lab = members[0]
    blocks = [block(number, entries(number, 100 * number)) for number in range(30)]
    lab.read(*blocks)
    root = lab.leaves.tree().root()
    lab.readmodel.clear()
    assert lab.leaves.size() == 0
    lab.read(*blocks)
    assert lab.leaves.tree().root() == root


# --- Which checkpoints are kept -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 4)), max_size=20))
def test_what_is_kept_serves_every_entry_as_well_as_all_would(made: list[tuple[int, int]]) -> None:
    published = [Published(Head(size, b""), b"", tuple(map(str, range(count)))) for size, count in dict(made).items()]
    kept = serving(published)
    for index in range(50):
        most = max((len(each.witnesses) for each in published if each.head.size > index), default=None)
        assert most == max((len(each.witnesses) for each in kept if each.head.size > index), default=None)
    assert len(kept) <= 5


def test_the_meter_of_these_tests_counts() -> None:
    counts = Counts()
    counts.count("a")
    counts.count("a")
    assert counts.counts == {"a": 2}


def test_rounds_follow_soon_where_they_are_short_and_never_later_than_a_second() -> None:
    assert pace(0.0) == pace(0.005) == 0.1
    assert pace(0.02) == pytest.approx(0.4)
    assert pace(0.5) == pace(60.0) == 1.0
