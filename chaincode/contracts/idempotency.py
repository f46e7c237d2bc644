# SPDX-License-Identifier: Apache-2.0
"""Repeats: what the rule of `domain.idempotency` needs."""

from hashlib import sha256

from chaincode.contracts.state import Ledger
from chaincode.domain import idempotency
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.values import Digest


def remember(ledger: Ledger, token: Digest, document: bytes) -> Idempotency:
    """The row to write with the outcome of a command, or of a batch of them, that bears a token.

    `document` is its canonical JSON.
    """
    return idempotency.remember(
        token,
        by=ledger.by,
        at=ledger.at,
        command=Digest(sha256(document).digest()),
        transaction=ledger.transaction,
        known=ledger.get(Idempotency, ledger.by, token),
    )
