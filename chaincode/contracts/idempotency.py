# SPDX-License-Identifier: Apache-2.0
"""Repeats: what the rule of `domain.idempotency` needs."""

from hashlib import sha256

from chaincode.contracts.state import Ledger
from chaincode.domain import codec, idempotency
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.values import Command, Digest


def remember(ledger: Ledger, token: Digest, command: Command) -> Idempotency:
    """The row to write with the outcome of a command that bears a token."""
    return idempotency.remember(
        token,
        by=ledger.by,
        at=ledger.at,
        command=Digest(sha256(codec.to_json(command)).digest()),
        transaction=ledger.transaction,
        known=ledger.get(Idempotency, ledger.by, token),
    )
