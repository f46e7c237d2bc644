# SPDX-License-Identifier: Apache-2.0
"""Transactions that record several commands: what one of them was answered."""

from chaincode.domain.batch import OUTCOMES
from gateway.services.ports import Json


def part_of(reply: Json, token: str) -> Json:
    """What the request with a token was answered in a transaction; the whole reply where it records one command."""
    outcomes = reply.get(OUTCOMES)
    if not isinstance(outcomes, list):
        return reply
    found = next((each for each in outcomes if isinstance(each, dict) and _recorded(each, token)), {})
    return {name: value for name, value in found.items() if name != "token"}


def records_nothing(reply: Json) -> bool:
    """Whether every command of a batch was refused, so that nothing is to be ordered."""
    outcomes = reply.get(OUTCOMES)
    return isinstance(outcomes, list) and not any("record" in each for each in outcomes)


def _recorded(outcome: Json, token: str) -> bool:
    return outcome.get("token") == token and "record" in outcome
