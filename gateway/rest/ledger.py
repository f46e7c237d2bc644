# SPDX-License-Identifier: Apache-2.0
"""The ledger itself, and single transactions in it."""

import re

from gateway.rest import schemas
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, Route
from gateway.services.ledgerview import LedgerView
from gateway.services.ports import ReadModel

_ID = re.compile(r"[0-9a-f]{64}")
_LEDGER: schemas.Schema = {
    "type": "object",
    "required": ["organisation", "channel", "height", "caught_up", "disabled_members"],
    "properties": {
        **{name: {"type": "string"} for name in ("organisation", "domain", "channel", "chaincode", "genesis_hash")},
        "height": {"type": "integer"},
        "caught_up": {"type": "boolean"},
        "disabled_members": {
            "description": "Members whose definition on the channel this gateway does not understand: what they sign "
            "is not believed here, and the channel goes on without it.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["organisation", "reason"],
                "properties": {"organisation": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
_TRANSACTION: schemas.Schema = {
    "type": "object",
    "required": ["id", "block", "validation_code", "valid", "reply", "said"],
    "properties": {
        "id": {"type": "string"},
        "block": {"type": "integer"},
        "validation_code": {"type": "integer"},
        "valid": {"type": "boolean"},
        "reply": {
            "description": "What the chaincode answered, where the ledger's public entries show it.",
            "type": ["object", "null"],
        },
        "said": {
            "description": "What a valid transaction says it answered, without public entries to show for it: the "
            "word of the organisation that signed it, and of nobody else.",
            "type": ["object", "null"],
            "properties": {"by": {"type": "string"}, "reply": {"type": "object"}},
        },
    },
}


def routes(view: LedgerView, readmodel: ReadModel) -> tuple[Route, ...]:
    """The operations on the ledger."""

    def describe(_: Call) -> Reply:
        return Reply(view.describe())

    def transaction(call: Call) -> Reply:
        transaction_id = call.path["transaction"]
        found = readmodel.transaction(transaction_id) if _ID.fullmatch(transaction_id) else None
        if found is None:
            raise HttpProblem(404, "no-such-transaction", "No block that was read so far holds this transaction.")
        outcome = found.outcome
        return Reply(
            {
                "id": transaction_id,
                "block": outcome.block,
                "validation_code": outcome.code,
                "valid": outcome.valid,
                "reply": found.reply,
                "said": None if found.said is None else {"by": found.creator, "reply": found.said},
            }
        )

    return (
        Route("GET", "/v1/ledger", "getLedger", "Height, channel and organisation.", describe, answers=_LEDGER),
        Route("GET", "/v1/transactions/{transaction}", "getTransaction", "The outcome of a transaction.", transaction,
              answers=_TRANSACTION, codes={404: ("no-such-transaction",)}),
    )  # fmt: skip
