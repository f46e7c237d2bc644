# SPDX-License-Identifier: Apache-2.0
"""Envelopes that were signed elsewhere: each is ordered, reaches its end, and counts once, whatever dies in between."""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from gateway.services.ports import Category, Recorded, Submission, Unavailable
from gateway.services.secret import Secret
from gateway.services.submitter import KeyReused

MVCC = 11
SECRET = Secret(b"s" * 32)


def sealed(key: str = "k", value: str = "a") -> Submission:
    """What the last step of three hands on."""
    made = Submission(
        id=SECRET.submission_id("client", key), client="client", key=key,
        request_hash=hashlib.sha256(value.encode()).hexdigest(), function="thing:record",
        command=json.dumps({"value": value}), state="prepared", attempt=1, created=time.time(), elsewhere=True,
    )  # fmt: skip
    transaction_id = hashlib.sha256(SECRET.nonce(made) + b"a person").hexdigest()
    reply = {"record": {"value": value}}
    envelope = {
        "id": transaction_id, "function": made.function, "command": made.command, "token": SECRET.token(made),
        "reply": reply,
    }  # fmt: skip
    return replace(made, transaction_id=transaction_id, envelope=json.dumps(envelope).encode(), reply=reply)


def test_twelve_at_once_are_sent_once_and_answered_alike(core: Any) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: core.submitter.send(sealed()), range(12)))
    assert len({str(each.ending) for each in answers}) == 1
    assert sum(not each.replayed for each in answers) == 1
    assert core.ledger.calls["submit"] == 1
    assert len(core.ledger.valid()) == 1


def test_another_request_of_the_key_is_refused(core: Any) -> None:
    core.submitter.send(sealed())
    with pytest.raises(KeyReused):
        core.submitter.send(sealed(value="b"))
    with pytest.raises(KeyReused):
        core.post("k", "c")
    assert len(core.ledger.valid()) == 1


@pytest.mark.parametrize("script", ["before_submit", "after_submit"])
@pytest.mark.parametrize("sent_again", [True, False], ids=["sent-again", "left-alone"])
def test_a_gateway_that_dies_brings_it_to_its_end(
    make_core: Callable[..., Any], killed: type[BaseException], script: str, sent_again: bool
) -> None:
    first = make_core().read_blocks()
    getattr(first.ledger, script).append(killed())
    with pytest.raises(killed):
        first.submitter.send(sealed())
    first.stop()
    second = make_core().start()
    if sent_again:
        assert isinstance(second.submitter.send(sealed()).ending, Recorded)
    deadline = time.monotonic() + 10
    while (stored := second.submissions.get(sealed().id)).ending is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(stored.ending, Recorded)
    assert second.ledger.valid() == [sealed().transaction_id]
    again = second.submitter.send(sealed())
    assert (again.replayed, again.ending) == (True, stored.ending)


def test_a_refused_copy_does_not_end_what_may_be_ordered(
    make_core: Callable[..., Any], killed: type[BaseException]
) -> None:
    """The first copy is with the orderers when the thread that sent it dies; the caller sends it again."""
    core = make_core(virtual=True).read_blocks()
    core.ledger.cutting = False
    core.ledger.after_submit.append(killed())
    with pytest.raises(killed):
        core.submitter.send(sealed())
    core.ledger.before_submit.append(Unavailable("no orderer is there", code="not-ordered"))
    answer = core.submitter.send(sealed())
    assert answer.pending
    core.ledger.cut()
    core.settle()
    assert isinstance(core.submissions.get(answer.submission_id).ending, Recorded)
    assert core.ledger.valid() == [sealed().transaction_id]


def test_what_was_refused_before_it_was_ordered_may_be_sent_again(core: Any) -> None:
    core.ledger.before_submit.append(Unavailable("no orderer is there", code="not-ordered"))
    with pytest.raises(Unavailable):
        core.submitter.send(sealed())
    answer = core.submitter.send(sealed())
    assert isinstance(answer.ending, Recorded)
    assert not answer.replayed


def test_what_was_found_invalid_stays_so(core: Any) -> None:
    """Only its holder can sign another one, under another key."""
    core.ledger.codes.append(MVCC)
    for _ in range(2):
        answer = core.submitter.send(sealed())
        assert (answer.ending.category, answer.ending.code) == (Category.CONFLICT, "conflict")
    assert core.ledger.calls["submit"] == 1
    assert core.ledger.valid() == []
