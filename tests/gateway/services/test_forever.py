# SPDX-License-Identifier: Apache-2.0
"""A month later: the same key is answered with the first transaction, by whatever is left of the gateway."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.services.ports import Recorded
from gateway.services.submitter import KeyReused

MONTH = 30 * 24 * 3600.0


def later() -> float:
    return time.time() + MONTH


@pytest.mark.parametrize("enrolled_again", [False, True])
@pytest.mark.parametrize("database", ["kept", "lost"])
def test_a_command_is_answered_with_its_first_transaction(
    make_core: Callable[..., Any], database: str, enrolled_again: bool
) -> None:
    first = make_core().start()
    answer = first.post("k")
    first.stop()
    second = make_core(fresh_disk=database == "lost", clock=later).start()
    if enrolled_again:
        second.ledger.creator = b"the certificate of a new enrolment"
    second.ledger.wait_until_read()
    known = second.submitter.operation_of("k", "client")
    assert (known.id, known.ending) == (answer.submission_id, answer.ending)
    again = second.post("k")
    assert again.ending == answer.ending
    assert (again.submission_id, again.replayed) == (answer.submission_id, database == "kept")
    found = second.submitter.operation_of("k", "client")
    assert (found.id, found.ending) == (answer.submission_id, answer.ending)
    assert second.submitter.operation_of("k", "another client") is None
    assert len(second.ledger.valid()) == second.ledger.calls["submit"] == 1
    with pytest.raises(KeyReused):
        second.post("k", "another value")


@pytest.mark.parametrize("enrolled_again", [False, True])
def test_each_command_of_a_batch_is_answered_with_its_first_transaction(
    make_core: Callable[..., Any], enrolled_again: bool
) -> None:
    first = make_core().start()
    answer = first.post_batch("k", "a", "b", keys={1: "own"})
    first.stop()
    second = make_core(fresh_disk=True, clock=later).start()
    if enrolled_again:
        second.ledger.creator = b"the certificate of a new enrolment"
    second.ledger.wait_until_read()
    assert second.submitter.operation_of("k", "client") is None, "send it again"
    again = second.post_batch("k", "a", "b", keys={1: "own"})
    assert isinstance(again.ending, Recorded)
    assert [each["transaction"] for each in again.ending.body["outcomes"]] == [
        each["transaction"] for each in answer.ending.body["outcomes"]
    ]
    assert second.submitter.operation_of("k", "client").ending == again.ending
    other = second.post_batch("other", "b", keys={0: "own"})
    assert other.ending.body["outcomes"][0]["transaction"] == answer.ending.body["outcomes"][1]["transaction"]
    assert len(second.ledger.valid()) == 1
