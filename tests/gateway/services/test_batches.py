# SPDX-License-Identifier: Apache-2.0
"""Batches: as few transactions as can be, each command once and with its own outcome, whatever fails or dies."""

import time
from typing import Any

import pytest

from chaincode.domain import canonical
from gateway.services import batches
from gateway.services.attempts import Limits
from gateway.services.batches import Asked, endings_of
from gateway.services.ports import Category, EndorsementMismatch, Failed, Forbidden, Recorded, TooLarge, Unavailable
from gateway.services.submitter import Answer, Intent, KeyReused

AWAY = Unavailable("away", code="peer-unavailable")


def endings(answer: Answer) -> list[Any]:
    assert isinstance(answer.ending, Recorded)
    return list(endings_of(answer.ending))


def outcomes(answer: Answer) -> list[str]:
    return [each.body["record"]["model"] if isinstance(each, Recorded) else each.code for each in endings(answer)]


def transactions(answer: Answer) -> list[str]:
    return [each.body["transaction"]["id"] for each in endings(answer) if isinstance(each, Recorded)]


def ended(core: Any, answer: Answer) -> Answer:
    """The answer once the reconciler has brought it to its end."""
    until = time.monotonic() + 60
    while answer.pending and time.monotonic() < until:
        found = core.submissions.get(answer.submission_id)
        if found is not None and found.ending is not None:
            return Answer(found.ending, answer.submission_id)
        time.sleep(0.02)
    return answer


def test_many_commands_are_recorded_by_one_transaction(core: Any, ledger: Any) -> None:
    answer = core.post_batch("k", "a", "b", "c")
    assert outcomes(answer) == ["a", "b", "c"]
    assert set(transactions(answer)) == set(ledger.valid())
    assert len(ledger.valid()) == 1
    assert answer.ending.height == len(ledger.chain)  # type: ignore[union-attr]


def test_a_refused_command_does_not_hinder_the_others(core: Any, ledger: Any) -> None:
    assert outcomes(core.post_batch("k", "a", "a", "b")) == ["a", "already-exists", "b"]
    assert len(ledger.valid()) == 1
    assert [(function, ending.code) for function, ending in core.failures] == [("model:register", "already-exists")]


def test_where_all_are_refused_nothing_is_ordered(core: Any, ledger: Any) -> None:
    core.post_batch("k", "a")
    assert outcomes(core.post_batch("l", "a", "a")) == ["already-exists", "already-exists"]
    assert ledger.calls["submit"] == 1


def test_what_cannot_be_read_is_its_own_outcome(core: Any, ledger: Any) -> None:
    low = Failed(Category.FORBIDDEN, "role-too-low", "no", retryable=False, facts={})
    good = Asked("model:register", {"model": "a", "title": "a"})
    wrong = [Asked("model:register", {"model": "A model"}), Asked("endorsement:set-policy", {}, refused=low)]
    assert outcomes(core.batches.record(Intent("client", "k", "d"), [wrong[0], good, wrong[1]])) == [
        "invalid-field", "a", "role-too-low",
    ]  # fmt: skip
    assert outcomes(core.batches.record(Intent("client", "l", "d"), wrong)) == ["invalid-field", "role-too-low"]
    assert len(ledger.valid()) == 1


def test_a_repeated_batch_gets_its_first_answer(core: Any, ledger: Any) -> None:
    first, again = core.post_batch("k", "a", "b"), core.post_batch("k", "a", "b")
    assert again.replayed
    assert again.ending == first.ending
    assert len(ledger.valid()) == 1
    with pytest.raises(KeyReused):
        core.post_batch("k", "a", "c")


def test_a_command_with_a_key_is_recorded_once_in_whatever_batch(core: Any, ledger: Any) -> None:
    first = core.post_batch("k", "a", "b", keys={1: "mine"})
    second = core.post_batch("l", "b", "c", keys={0: "mine"})
    assert outcomes(second) == ["b", "c"]
    assert transactions(second)[0] == transactions(first)[1]
    assert len(ledger.valid()) == 2


def test_a_key_that_stands_twice_in_a_batch_is_answered_twice_alike(core: Any) -> None:
    answer = core.post_batch("k", "a", "a", keys={0: "mine", 1: "mine"})
    assert outcomes(answer) == ["a", "a"]
    assert len(set(transactions(answer))) == 1


def test_a_command_alone_finds_what_a_batch_recorded(core: Any, ledger: Any) -> None:
    first = core.post_batch("k", "a", "b", keys={1: "mine"})
    command = canonical.encode({"kind": "register-model", "schema": 1, "model": "b", "title": "b"}).decode()
    answer = core.submitter.submit(Intent("client", "mine", "another"), "model:register", lambda: command)
    assert answer.ending.body["record"]["model"] == "b"
    assert answer.ending.body["transaction"]["id"] == transactions(first)[1]
    assert len(ledger.valid()) == 1


def test_one_hot_command_does_not_hold_back_the_rest(make_core: Any, ledger: Any) -> None:
    core = make_core(virtual=True).start()
    ledger.hot = {"hot"}
    answer = core.post_batch("k", "a", "b", "c", "hot", "d", "e", "f", "g")
    assert outcomes(answer) == ["a", "b", "c", "conflict", "d", "e", "f", "g"]
    assert len(ledger.valid()) == 3
    assert endings(answer)[3].retryable


def test_a_conflict_that_passes_is_tried_again_whole(core: Any, ledger: Any) -> None:
    ledger.codes.append(11)
    assert outcomes(core.post_batch("k", "a", "b")) == ["a", "b"]
    assert len(ledger.valid()) == 1


@pytest.mark.parametrize(("failure", "times"), [(TooLarge("too large"), 1), (EndorsementMismatch("they differ"), 3)])
def test_a_group_that_cannot_be_endorsed_is_tried_in_halves(
    core: Any, ledger: Any, failure: Exception, times: int
) -> None:
    ledger.before_prepare.extend([failure] * times)
    assert outcomes(core.post_batch("k", "a", "b", "c", "d")) == ["a", "b", "c", "d"]
    assert len(ledger.valid()) == 2


def test_one_command_that_is_too_large_is_refused_alone(core: Any, ledger: Any) -> None:
    large = TooLarge("too large")
    ledger.before_prepare.extend([large, large])
    assert outcomes(core.post_batch("k", "a", "b")) == ["transaction-too-large", "b"]


def test_where_nothing_can_be_endorsed_the_key_stays_free(core: Any, ledger: Any) -> None:
    ledger.before_prepare.extend([AWAY, Forbidden("no")])
    with pytest.raises(Unavailable):
        core.post_batch("k", "a", "b")
    with pytest.raises(Forbidden):
        core.post_batch("k", "a", "b")
    assert outcomes(core.post_batch("k", "a", "b")) == ["a", "b"]
    assert len(ledger.valid()) == 1


def test_what_is_large_goes_into_several_transactions(core: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_LARGEST_GROUP", 150)
    assert outcomes(core.post_batch("k", "a", "b", "a", "c", "d")) == ["a", "b", "already-exists", "c", "d"]
    assert len(ledger.valid()) > 1


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands a transaction."""
    monkeypatch.setattr(batches, "MOST", 2)


@pytest.mark.usefixtures("in_pairs")
def test_what_is_ordered_is_finished_where_the_rest_has_to_wait(core: Any, ledger: Any) -> None:
    ledger.before_prepare.extend([None, AWAY])
    answer = core.post_batch("k", "a", "b", "c", "d")
    assert answer.pending
    assert outcomes(ended(core, answer)) == ["a", "b", "c", "d"]
    assert len(ledger.valid()) == 2


@pytest.mark.usefixtures("in_pairs")
def test_what_is_refused_for_good_after_a_part_is_the_outcome_of_the_rest(core: Any, ledger: Any) -> None:
    ledger.before_prepare.extend([None, Forbidden("no")])
    assert outcomes(core.post_batch("k", "a", "b", "c", "d")) == ["a", "b", "identity-refused", "identity-refused"]


def test_a_batch_is_answered_before_it_is_recorded_where_that_is_asked(core: Any) -> None:
    answer = core.post_batch("k", "a", "a", respond_async=True)
    assert answer.pending
    assert outcomes(ended(core, answer)) == ["a", "already-exists"]
    assert [each.code for _, each in core.failures] == ["already-exists"]


@pytest.mark.usefixtures("in_pairs")
@pytest.mark.parametrize("step", ["before_prepare", "before_submit", "after_submit"])
@pytest.mark.parametrize("group", [0, 1])
def test_a_killed_process_records_each_command_once(
    make_core: Any, ledger: Any, killed: Any, step: str, group: int
) -> None:
    core = make_core().start()
    getattr(ledger, step).extend([*[None] * group, killed()])
    with pytest.raises(killed):
        core.post_batch("k", "a", "b", "c", "d")
    core.stop()
    again = make_core().start()
    answer = ended(again, again.post_batch("k", "a", "b", "c", "d"))
    assert outcomes(answer) == ["a", "b", "c", "d"]
    assert set(transactions(answer)) == set(ledger.valid())
    assert len(ledger.valid()) == 2


def test_a_gateway_that_lost_its_database_records_nothing_again(make_core: Any, ledger: Any) -> None:
    first = make_core().start().post_batch("k", "a", "b")
    answer = make_core(fresh_disk=True).start().post_batch("k", "a", "b")
    assert transactions(answer) == transactions(first)
    assert len(ledger.valid()) == 1


def test_under_a_new_certificate_the_batch_is_found_by_its_token(make_core: Any, ledger: Any) -> None:
    first = make_core().start().post_batch("k", "a", "a", "b")
    ledger.creator = b"renewed"
    again = make_core(fresh_disk=True).start().post_batch("k", "a", "a", "b")
    assert outcomes(again) == ["a", "already-exists", "b"]
    assert transactions(again) == transactions(first)


@pytest.mark.usefixtures("in_pairs")
def test_what_cannot_be_endorsed_for_long_ends_with_its_failure(make_core: Any, ledger: Any) -> None:
    core = make_core(limits=Limits(wait=5.0, fallback_after=0.1, accepted_for=0.0)).start()
    ledger.before_prepare.extend([None, AWAY])
    assert outcomes(core.post_batch("k", "a", "b", "c")) == ["a", "b", "peer-unavailable"]


def test_a_transaction_that_recorded_something_else_is_not_believed(core: Any, ledger: Any) -> None:
    core.post_batch("k", "a", keys={0: "mine"})
    other = core.post("x").ending.body["transaction"]["id"]
    ledger.tokens = dict.fromkeys(ledger.tokens, other)
    assert outcomes(core.post_batch("l", "a", keys={0: "mine"})) == ["ledger-protocol"]
