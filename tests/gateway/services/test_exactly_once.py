# SPDX-License-Identifier: Apache-2.0
"""At most one valid transaction for an idempotency key, whatever dies in between."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chaincode.domain.errors import AlreadyExists
from gateway.services.attempts import Limits
from gateway.services.ports import (
    AlreadyProposed,
    Category,
    EndorsementMismatch,
    LedgerMisuse,
    OutcomeUnknown,
    Recorded,
    TimedOut,
    TooLarge,
    Unavailable,
)
from gateway.services.secret import Secret
from gateway.services.submitter import Answer, InProgress, KeyReused

MVCC, PHANTOM, POLICY, BAD_SIGNATURE = 11, 12, 10, 4


def until(condition: Callable[[], Any], timeout: float = 5.0) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it never became true")


def test_a_submission_is_answered_from_its_committed_outcome(core: Any) -> None:
    answer = core.post("k")
    assert isinstance(answer.ending, Recorded)
    assert answer.ending.body["record"]["value"] == "a"
    assert answer.ending.body["transaction"] == {"id": core.ledger.valid()[0], "block": 1}
    assert answer.ending.height == 2
    assert not answer.replayed


def test_the_same_key_gets_the_first_answer_again(core: Any) -> None:
    first, second = core.post("k"), core.post("k")
    assert second.ending == first.ending
    assert second.replayed
    assert len(core.ledger.valid()) == 1


def test_the_same_key_with_another_payload_is_refused(core: Any) -> None:
    core.post("k", "a")
    with pytest.raises(KeyReused):
        core.post("k", "b")
    assert len(core.ledger.valid()) == 1


def test_clients_do_not_share_keys(core: Any) -> None:
    core.post("k", client="one")
    core.post("k", "b", client="two")
    assert len(core.ledger.valid()) == 2


def test_a_key_and_client_cannot_be_shifted_into_another_pair(core: Any) -> None:
    first = core.post("b", client="a")
    second = core.post("", client="ab")
    assert first.submission_id != second.submission_id


def test_twenty_identical_requests_at_once_execute_once(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=5.0, fallback_after=0.1, waiters=32)).start()
    core.ledger.gate = threading.Event()
    barrier = threading.Barrier(20)

    def post() -> Answer:
        barrier.wait()
        answer: Answer = core.post("k")
        return answer

    with ThreadPoolExecutor(20) as pool:
        posted = [pool.submit(post) for _ in range(20)]
        until(lambda: core.ledger.calls["prepare"])
        core.ledger.gate.set()
        answers = [future.result() for future in posted]
    assert len({str(answer.ending) for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert core.ledger.calls["prepare"] == 1
    assert len(core.ledger.valid()) == 1


def test_waiting_for_the_first_request_is_bounded(make_core: Callable[..., Any]) -> None:
    core = make_core(virtual=True).read_blocks()
    core.ledger.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(core.post, "k")
        until(lambda: core.ledger.calls["prepare"])
        began = core.time.now()
        with pytest.raises(InProgress):
            core.post("k")
        assert core.time.now() - began == 5.0, "as long as the limits say"
        core.ledger.gate.set()
        assert first.result().pending, "its time is over as well"


def test_a_conflict_is_tried_again_with_a_new_transaction(core: Any) -> None:
    core.ledger.codes.extend([MVCC, MVCC])
    answer = core.post("k")
    assert isinstance(answer.ending, Recorded)
    assert core.ledger.calls["prepare"] == 3
    assert len(core.ledger.index) == 3
    assert len(core.ledger.valid()) == 1


def test_conflicts_are_given_up_after_five_attempts_and_the_key_stays_usable(core: Any) -> None:
    core.ledger.codes.extend([MVCC] * 5)
    answer = core.post("k")
    assert (answer.ending.category, answer.ending.code) == (Category.CONFLICT, "conflict")
    assert answer.ending.retryable
    again = core.post("k")
    assert isinstance(again.ending, Recorded)
    assert not again.replayed
    assert len(core.ledger.valid()) == 1


@pytest.mark.parametrize(
    ("code", "category", "prepared"),
    [(POLICY, Category.NETWORK, 2), (17, Category.UNAVAILABLE, 2), (BAD_SIGNATURE, Category.FAULT, 1)],
)
def test_other_invalid_outcomes_have_their_own_budget(core: Any, code: int, category: Category, prepared: int) -> None:
    core.ledger.codes.extend([code] * 5)
    answer = core.post("k")
    assert answer.ending.category is category
    assert core.ledger.calls["prepare"] == prepared


def test_an_unknown_outcome_that_was_accepted_is_found_in_the_blocks(core: Any, unknown: OutcomeUnknown) -> None:
    core.ledger.after_submit.append(unknown)
    assert isinstance(core.post("k").ending, Recorded)
    assert len(core.ledger.valid()) == 1


def test_an_unknown_outcome_that_was_lost_is_sent_again(make_core: Callable[..., Any], unknown: OutcomeUnknown) -> None:
    core = make_core(limits=Limits(wait=0.2, fallback_after=0.1), virtual=True).read_blocks()
    core.ledger.before_submit.append(unknown)
    answer = core.post("k")
    assert answer.pending
    assert answer.pending
    while core.submitter.in_flight:
        core.settle()
    final = core.submissions.get(answer.submission_id).ending
    assert isinstance(final, Recorded)
    assert len(core.ledger.valid()) == 1
    replay = core.post("k")
    assert replay.replayed
    assert replay.ending == final


def test_a_submission_without_a_block_is_answered_202_and_finished_later(make_core: Callable[..., Any]) -> None:
    core = make_core(virtual=True).read_blocks()
    core.ledger.cutting = False
    answer = core.post("k")
    assert answer.pending
    began = core.time.now()
    while core.time.now() < began + 60:
        core.settle()
    assert core.submissions.get(answer.submission_id).ending is None
    core.ledger.cut()
    core.settle()
    assert isinstance(core.submissions.get(answer.submission_id).ending, Recorded)
    # Copies that were sent meanwhile stand in the block as duplicates, without effect.
    assert core.ledger.calls["submit"] > 1
    assert len(core.ledger.valid()) == 1


def test_an_asynchronous_submission_reaches_its_end(core: Any) -> None:
    answer = core.post("k", respond_async=True)
    assert answer.pending
    assert isinstance(until(lambda: core.submissions.get(answer.submission_id).ending), Recorded)


def test_a_refusal_is_final_and_replayed(core: Any) -> None:
    core.ledger.before_prepare.append(AlreadyExists("dataset:d"))
    answer = core.post("k")
    assert (answer.ending.category, answer.ending.code) == (Category.CONFLICT, "already-exists")
    again = core.post("k")
    assert again.replayed
    assert again.ending == answer.ending
    assert core.ledger.calls["submit"] == 0


def test_a_failure_before_ordering_leaves_the_key_free(core: Any) -> None:
    core.ledger.before_prepare.append(Unavailable("down", code="endorsers-unavailable"))
    with pytest.raises(Unavailable):
        core.post("k")
    assert core.submissions.find("client", "k") is None
    assert isinstance(core.post("k").ending, Recorded)


def test_differing_endorsements_are_asked_for_twice_more(core: Any) -> None:
    core.ledger.before_prepare.extend([EndorsementMismatch("differ")] * 2)
    assert isinstance(core.post("k").ending, Recorded)
    core.ledger.before_prepare.extend([EndorsementMismatch("differ")] * 3)
    with pytest.raises(EndorsementMismatch):
        core.post("k2")


def test_a_chaincode_that_ended_is_asked_once_more_with_the_same_transaction(core: Any) -> None:
    ended = [Unavailable("a chaincode process ended", code="chaincode-unavailable", retries=1) for _ in range(3)]
    core.ledger.before_prepare.append(ended[0])
    assert isinstance(core.post("k").ending, Recorded)
    assert core.ledger.calls["prepare"] == 2
    assert core.meter.counts["retried_chaincode-unavailable"] == 1
    core.ledger.before_prepare.extend(ended[1:])
    with pytest.raises(Unavailable):
        core.post("k2")
    assert core.ledger.calls["prepare"] == 4


def test_what_has_no_retry_is_not_tried_again(core: Any) -> None:
    core.ledger.before_prepare.append(TimedOut("the chaincode took too long"))
    with pytest.raises(TimedOut):
        core.post("k")
    assert core.ledger.calls["prepare"] == 1


def test_retries_are_counted_by_what_they_were_for(core: Any) -> None:
    core.ledger.codes.extend([MVCC, PHANTOM, POLICY])
    assert isinstance(core.post("k").ending, Recorded)
    core.ledger.codes.extend([17])
    assert isinstance(core.post("k2").ending, Recorded)
    counts = core.meter.counts
    assert (counts["retried_conflict"], counts["retried_endorsement-policy"]) == (2, 1)
    assert counts["retried_chaincode-upgrading"] == 1


def test_each_attempt_has_a_transaction_id_of_its_own_and_each_copy_the_same(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=20.0, fallback_after=0.05), virtual=True).read_blocks()
    core.ledger.codes.extend([MVCC])
    core.ledger.before_submit.extend([OutcomeUnknown("no answer")] * 2)
    assert isinstance(core.post("k").ending, Recorded)
    # Two that were lost, then the first attempt's envelope, then the second attempt's.
    assert core.ledger.calls["submit"] == 4
    assert len(set(core.ledger.sent)) == 2
    assert len(core.ledger.index) == 2


def test_an_envelope_that_nobody_heard_of_is_sent_again_while_the_client_waits(
    make_core: Callable[..., Any], unknown: OutcomeUnknown
) -> None:
    core = make_core(limits=Limits(wait=10.0, fallback_after=0.05), virtual=True).read_blocks()
    core.ledger.before_submit.append(unknown)
    answer = core.post("k")
    assert (type(answer.ending), answer.pending) == (Recorded, False)
    assert core.meter.counts["resent"] == 1
    assert len(core.ledger.valid()) == 1


def test_an_accepted_envelope_that_the_leader_lost_is_sent_again(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=30.0), virtual=True).read_blocks()
    core.ledger.cutting = False

    def lose() -> None:
        core.ledger.accepted.clear()
        core.ledger.cutting = True

    core.time.after(1.0, lose)
    assert isinstance(core.post("k").ending, Recorded)
    assert len(set(core.ledger.sent)) == 1
    assert len(core.ledger.sent) >= 2
    assert len(core.ledger.valid()) == 1


def test_an_envelope_that_blocks_pass_over_after_a_pause_is_sent_again_at_once(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=30.0, fallback_after=0.05, resend_after=60.0), virtual=True).read_blocks()
    core.post("before")
    core.ledger.cutting = False

    def go_on() -> None:
        core.ledger.accepted.clear()
        core.ledger.cut()  # a block of others; it is long after the last one
        core.ledger.cutting = True

    core.time.after(5.0, go_on)
    assert isinstance(core.post("k").ending, Recorded)
    assert core.ledger.calls["submit"] == 3
    assert core.meter.counts["resent"] == 1
    assert len(core.ledger.valid()) == 2


def test_blocks_without_a_pause_pass_nobody_over(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=12.0, fallback_after=0.05, resend_after=60.0), virtual=True).read_blocks()
    core.post("before")
    core.ledger.cutting = False

    def others() -> None:
        mine, core.ledger.accepted = core.ledger.accepted, deque()
        core.ledger.cut()
        core.ledger.accepted = mine

    for second in range(1, 10, 2):
        core.time.after(second, others)
    assert core.post("k").pending
    assert core.ledger.calls["submit"] == 2


def test_slow_ordering_is_not_flooded_with_copies(make_core: Callable[..., Any]) -> None:
    core = make_core(virtual=True).read_blocks()
    core.ledger.cutting = False
    assert core.post("k").pending
    began, rounds = core.time.now(), 0
    while core.time.now() < began + 600:
        core.settle()
        rounds += 1
    # It was looked at many times meanwhile; copies went out at growing intervals, up to a minute.
    assert rounds > 1000
    assert 10 <= core.ledger.calls["submit"] <= 24
    core.ledger.cut()
    core.settle()
    assert isinstance(core.submissions.find("client", "k").ending, Recorded)
    assert len(core.ledger.valid()) == 1


def test_no_peer_before_the_first_copy_leaves_the_key_free(core: Any) -> None:
    core.ledger.before_submit.append(Unavailable("no peer answers", code="peer-unavailable"))
    with pytest.raises(Unavailable):
        core.post("k")
    assert isinstance(core.post("k").ending, Recorded)
    assert len(core.ledger.valid()) == 1


def test_what_the_orderer_refuses_is_not_pending(core: Any) -> None:
    core.ledger.before_submit.append(TooLarge("too large"))
    with pytest.raises(TooLarge):
        core.post("k")
    stored = core.submissions.find("client", "k")
    core.submissions._database.flush()
    stored = core.submissions.find("client", "k")
    assert stored is not None
    assert stored.state == "final"
    assert stored.ending is not None
    assert stored.ending.category is Category.TOO_LARGE


def test_a_full_gateway_refuses_at_once_without_touching_the_ledger(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(in_flight=2, wait=5.0, fallback_after=0.1)).start()
    core.ledger.gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(core.post, f"k{number}") for number in range(2)]
        until(lambda: core.ledger.calls["prepare"] == 2)
        with pytest.raises(Unavailable, match="no room"):
            core.post("k9")  # answers while both others are held
        assert core.ledger.calls["prepare"] == 2
        core.ledger.gate.set()
        assert [type(future.result().ending) for future in held] == [Recorded, Recorded]
    assert isinstance(core.post("k9").ending, Recorded)


@pytest.mark.parametrize("script", ["before_prepare", "before_submit", "after_submit"])
def test_a_process_that_dies_anywhere_leaves_one_effect(
    make_core: Callable[..., Any], killed: type[BaseException], script: str
) -> None:
    first = make_core().start()
    getattr(first.ledger, script).append(killed())
    with pytest.raises(killed):
        first.post("k")
    first.stop()
    second = make_core().start()
    answer = second.post("k")
    if answer.pending:
        answer = until(lambda: second.submissions.get(answer.submission_id).ending and second.post("k"))
    assert isinstance(answer.ending, Recorded)
    assert answer.ending.body["record"]["value"] == "a"
    assert len(second.ledger.valid()) == 1


def test_a_restart_finishes_what_was_in_flight_without_the_client(
    make_core: Callable[..., Any], killed: type[BaseException]
) -> None:
    first = make_core().start()
    first.ledger.before_submit.append(killed())
    with pytest.raises(killed):
        first.post("k")
    first.stop()
    assert first.ledger.valid() == []
    second = make_core().start()
    until(lambda: second.ledger.valid())
    assert isinstance(second.post("k").ending, Recorded)
    assert len(second.ledger.valid()) == 1


def test_a_lost_database_finds_the_first_outcome_by_the_derived_id(make_core: Callable[..., Any]) -> None:
    first = make_core().start()
    answer = first.post("k")
    first.stop()
    second = make_core(fresh_disk=True).start()
    again = second.post("k")
    assert again.ending == answer.ending
    assert len(second.ledger.valid()) == 1
    assert second.ledger.calls["submit"] == 1


def test_a_lost_database_and_a_new_enrolment_find_the_first_outcome_by_the_token(make_core: Callable[..., Any]) -> None:
    first = make_core().start()
    answer = first.post("k")
    first.stop()
    second = make_core(fresh_disk=True).start()
    second.ledger.creator = b"the certificate of a new enrolment"
    again = second.post("k")
    assert again.ending == answer.ending
    assert len(second.ledger.valid()) == 1
    assert second.ledger.calls["submit"] == 1


def test_a_first_copy_that_commits_while_the_second_is_stored_decides(
    make_core: Callable[..., Any], killed: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_core().start()
    first.ledger.cutting = False
    first.ledger.after_submit.append(killed())
    with pytest.raises(killed):
        first.post("k")
    first.stop()
    second = make_core(fresh_disk=True).start()
    save = second.submissions.save

    def commit_the_first_copy(submission: Any) -> None:
        save(submission)
        height = second.ledger.cut().number + 1
        until(lambda: second.commits.height >= height)
        second.ledger.cutting = True

    monkeypatch.setattr(second.submissions, "save", commit_the_first_copy)
    answer = second.post("k")
    assert isinstance(answer.ending, Recorded)
    assert answer.ending.body["transaction"]["block"] == 1
    assert len(second.ledger.valid()) == 1


def test_a_lost_database_walks_over_attempts_that_are_used_up(make_core: Callable[..., Any]) -> None:
    first = make_core().start()
    first.ledger.codes.extend([MVCC] * 5)
    assert first.post("k").ending.category is Category.CONFLICT
    first.stop()
    second = make_core(fresh_disk=True).start()
    second.ledger.codes.extend([MVCC] * 4)
    assert isinstance(second.post("k").ending, Recorded)
    assert len(second.ledger.valid()) == 1


def test_commits_are_learnt_from_the_peer_while_the_stream_is_down(make_core: Callable[..., Any]) -> None:
    core = make_core(limits=Limits(wait=5.0, fallback_after=0.1)).start()
    core.ledger.streaming = False
    until(lambda: not core.projector.streaming)
    answer = core.post("k")
    assert isinstance(answer.ending, Recorded)
    assert core.ledger.calls["outcome"] >= 1
    assert core.commits.lag >= 1


# Others who order under our ids, and chaincodes that name others' transactions


def test_an_id_that_others_burnt_is_a_used_up_attempt_and_the_next_one_follows(core: Any) -> None:
    core.ledger.burning = True
    submit = core.ledger.submit

    def burn_twice(envelope: bytes) -> None:
        core.ledger.burning = core.ledger.calls["submit"] < 2
        submit(envelope)

    core.ledger.submit = burn_twice
    answer = core.post("k")
    assert isinstance(answer.ending, Recorded)
    assert core.ledger.calls["prepare"] == 3
    assert [answer.ending.body["transaction"]["id"]] == core.ledger.valid()


def test_ids_that_are_burnt_for_ever_end_in_a_failure_that_can_be_repeated(core: Any) -> None:
    core.ledger.burning = True
    answer = core.post("k")
    assert (answer.ending.category, answer.ending.code) == (Category.UNAVAILABLE, "transaction-id-taken")
    assert answer.ending.retryable
    core.ledger.burning = False
    assert isinstance(core.post("k").ending, Recorded)
    assert len(core.ledger.valid()) == 1


def test_garbage_under_the_id_in_the_same_block_hides_nothing(core: Any) -> None:
    core.ledger.beside = True
    answer = core.post("k")
    assert isinstance(answer.ending, Recorded)
    assert core.ledger.calls["prepare"] == 1
    assert core.readmodel.transaction(core.ledger.valid()[0]).outcome.valid


def test_garbage_before_the_first_endorsement_after_a_loss_is_walked_over(make_core: Callable[..., Any]) -> None:
    """Whoever saw the first proposal, which never was ordered, had garbage ordered under its id."""
    first = make_core().start()
    first.ledger.cutting = False
    first.ledger.burning = True
    first.ledger.after_submit.append(OutcomeUnknown("no answer"))
    first.attempts.stop()
    first.post("k")
    first.stop()
    first.ledger.accepted.clear()
    second = make_core(fresh_disk=True).start()
    second.ledger.cutting, second.ledger.burning = True, False
    assert isinstance(second.post("k").ending, Recorded)
    assert len(second.ledger.valid()) == 1


@pytest.mark.parametrize(
    ("recorded", "believed"),
    [
        ("LabMSP:{token}:{command}", True),
        ("EvilMSP:{token}:{command}", False),
        ("LabMSP:{other}:{command}", False),
        ("LabMSP:{token}:{other}", False),
    ],
)
def test_a_transaction_that_the_chaincode_names_counts_if_it_recorded_this_very_request(
    core: Any, recorded: str, believed: bool
) -> None:
    command = hashlib.sha256(json.dumps({"value": "a"}).encode()).hexdigest()
    token = Secret(b"s" * 32)._derive("token", "client", "k").hex()
    core.ledger.request = recorded.format(token=token, command=command, other="0" * 64)
    assert isinstance(core.post("other", "a").ending, Recorded)
    core.ledger.before_prepare.append(AlreadyProposed(core.ledger.valid()[0], recorded=True))
    if believed:
        assert core.post("k", "a").ending.body["transaction"]["id"] == core.ledger.valid()[0]
    else:
        with pytest.raises(LedgerMisuse, match="did not record this request"):
            core.post("k", "a")
    assert len(core.ledger.valid()) == 1


def test_an_invalid_transaction_that_the_chaincode_names_is_no_outcome(core: Any) -> None:
    core.ledger.codes.append(BAD_SIGNATURE)
    assert core.post("other").ending.category is Category.FAULT
    core.ledger.before_prepare.append(AlreadyProposed(next(iter(core.ledger.index)), recorded=True))
    with pytest.raises(LedgerMisuse, match="did not record this request"):
        core.post("k")


def test_an_orderer_that_refuses_and_orders_all_the_same_hides_nothing_from_a_repetition(core: Any) -> None:
    core.ledger.after_submit.append(TooLarge("larger than the orderer says it takes"))
    with pytest.raises(TooLarge):
        core.post("k")
    until(lambda: core.readmodel.transaction(core.ledger.valid()[0]))
    answer = core.post("k")
    assert answer.ending.body["transaction"]["id"] == core.ledger.valid()[0]
    assert len(core.ledger.valid()) == 1


def test_whatever_is_raised_a_pending_submission_ends_within_its_time(
    make_core: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    core = make_core(limits=Limits(wait=5.0, fallback_after=0.1, accepted_for=1.5)).start()
    core.ledger.before_prepare.extend([KeyError("an odd fact")] * 1000)
    answer = core.post("k", respond_async=True)
    ended = until(lambda: core.submissions.get(answer.submission_id).ending, 20.0)
    assert (ended.category, ended.code, ended.retryable) == (Category.UNAVAILABLE, "outcome-unknown", True)
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert core.submitter.in_flight == 0
    core.ledger.before_prepare.clear()
    assert isinstance(core.post("k").ending, Recorded)
    assert len(core.ledger.valid()) == 1


def test_a_submission_that_recovers_before_its_time_is_finished(make_core: Callable[..., Any]) -> None:
    core = make_core().start()
    core.ledger.before_prepare.extend([KeyError("an odd fact")] * 2)
    answer = core.post("k", respond_async=True)
    assert isinstance(until(lambda: core.submissions.get(answer.submission_id).ending, 20.0), Recorded)
