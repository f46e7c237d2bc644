# SPDX-License-Identifier: Apache-2.0
"""Whatever peers say about a failed call: a failure that can be shown, stored and logged, and no more than that."""

from __future__ import annotations

import json
import random
from typing import Any

import grpc

from chaincode.domain.errors import LedgerError
from gateway.delivery.peererrors import TABLE, judge
from gateway.delivery.refusals import refusal
from gateway.fabric import EndorseError, ErrorDetail, GatewayError, SubmitError
from gateway.rest.problems import headers_for, response_for
from gateway.services import ports

TX = "ab" * 32
CODES = (
    "already-recorded",
    "already-exists",
    "token-reused",
    "invalid-field",
    "lineage-cycle",
    "clock-skew",
    "x",
    "A b",
)
NAMES = ("transaction", "reference", "field", "reason", "path", "code", "message", "self", "facts", "organisations", "")
LETTERS = "abc{}[]\"'\\\x00\x1b\n\r\u202e\u200b\U000e0041é0123 "


def some_text(chance: random.Random, longest: int = 40) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(chance.randint(0, longest)))


def some_value(chance: random.Random, depth: int = 0) -> Any:
    match chance.randrange(9 if depth < 3 else 6):
        case 0:
            return chance.randint(-(2**70), 2**70)
        case 1:
            return chance.choice([None, True, False, 1.5])
        case 2:
            return TX if chance.random() < 0.9 else some_text(chance) * 2_000
        case 3 | 4 | 5:
            return some_text(chance)
        case 6:
            # Long ones at the top alone: within one another they would take more memory than there is.
            times = 700 if depth == 0 and chance.random() < 0.02 else chance.randint(0, 2)
            return [some_value(chance, depth + 1) for _ in range(3)] * times
        case 7:
            return [some_text(chance) for _ in range(chance.randint(0, 5))]
        case _:
            return {some_text(chance, 5): some_value(chance, depth + 1) for _ in range(chance.randint(0, 4))}


def some_refusal(chance: random.Random) -> str:
    facts = {chance.choice(NAMES): some_value(chance) for _ in range(chance.choice([0, 1, 2, 40]))}
    body: dict[str, Any] = {"code": chance.choice(CODES), "message": some_value(chance), "facts": facts}
    if chance.random() < 0.3:
        body[chance.choice(["code", "facts", "message"])] = some_value(chance)
    written = json.dumps(body, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.2:
        written = written[: chance.randrange(len(written))]
    return f"chaincode response {chance.choice([400, 400, 400, 500, 404])}, {written}"


def some_words(chance: random.Random) -> str:
    match chance.randrange(5):
        case 0:
            return some_text(chance, 400)
        case 1:
            return chance.choice(TABLE).text + some_text(chance)
        case 2:
            return f"duplicate transaction found [{chance.choice([TX, 'cd' * 32, 'x'])}]. Creator [0a]"
        case 3:
            return f"evaluate call to endorser returned error: {some_refusal(chance)}"
        case _:
            return some_refusal(chance)


def shown(failure: Any) -> str:
    """The answer that a client is given, after everything that is done with a failure on the way."""
    headers_for(failure)
    response = response_for(failure)
    text = json.dumps(response.body, ensure_ascii=False)
    assert 400 <= response.status <= 599
    assert all(each.isprintable() for each in text), text
    assert len(text) < 400_000
    return text


def test_whatever_peers_say_is_a_failure_that_can_be_shown(fuzzing: Any) -> None:
    for chance in fuzzing.rounds("refusals"):
        details = [
            ErrorDetail("secret:7051", chance.choice(["LabMSP", "EvilMSP", some_text(chance)]), some_words(chance))
            for _ in range(chance.randint(0, 4))
        ]
        code = chance.choice(list(grpc.StatusCode))
        kind = chance.choice([EndorseError, SubmitError, GatewayError])
        error = kind(code, some_words(chance), details, TX)
        assert str(error).isprintable()
        failure = judge(error, submitting=kind is SubmitError, own="LabMSP").failure
        assert "secret" not in shown(failure)
        said_by_others_alone = details and all(each.msp_id != "LabMSP" for each in details)
        if kind is EndorseError and said_by_others_alone:
            alone = judge(EndorseError(code, "failed to collect", details, TX), submitting=False, own="LabMSP").failure
            assert isinstance(alone, ports.NothingOrdered), "another organisation's words were final"
            assert alone.transient


def test_any_refusal_of_a_chaincode_is_a_failure_that_can_be_shown(fuzzing: Any) -> None:
    for chance in fuzzing.rounds("facts"):
        status, _, body = some_refusal(chance).removeprefix("chaincode response ").partition(", ")
        failure = refusal(int(status), body)
        assert isinstance(failure, LedgerError | ports.PortError)
        assert str(failure) is not None
        shown(failure)
