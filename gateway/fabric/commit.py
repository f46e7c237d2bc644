# SPDX-License-Identifier: Apache-2.0
"""The last stage: what became of a transaction that was submitted."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from gateway.fabric import wire
from gateway.fabric.blocks import VALID, validation_code_name
from gateway.fabric.errors import CommitError
from gateway.fabric.messages import commit_status_request, parse
from gateway.fabric.session import Session

__all__ = ["Commit", "Status", "SubmittedTransaction"]


@dataclass(frozen=True, slots=True)
class Status:
    """A transaction's place in the ledger and whether it took effect."""

    transaction_id: str
    code: int
    """A `TxValidationCode`; 0 is VALID."""
    block_number: int

    @property
    def successful(self) -> bool:
        """Whether the transaction is valid, so that its writes were applied."""
        return self.code == VALID

    @property
    def code_name(self) -> str:
        """The code's name, such as MVCC_READ_CONFLICT."""
        return validation_code_name(self.code)

    def raise_for_status(self) -> None:
        """Raises `CommitError` unless the transaction is valid."""
        if not self.successful:
            raise CommitError(self.transaction_id, self.code, self.code_name, self.block_number)


class Commit:
    """A question for the outcome of one transaction, signed already where the gateway has a signer."""

    __slots__ = ("_request", "_session", "_signature", "transaction_id")

    def __init__(
        self, session: Session, transaction_id: str, request: builtins.bytes, signature: builtins.bytes
    ) -> None:
        self._session = session
        self._request = request
        self._signature = signature
        self.transaction_id = transaction_id

    @classmethod
    def prepare(cls, session: Session, channel: str, transaction_id: str) -> Commit:
        """The question for a transaction id; signed unless signing is done elsewhere."""
        request = commit_status_request(channel, transaction_id, session.identity)
        return cls(session, transaction_id, request, session.sign(request) if session.signer is not None else b"")

    @classmethod
    def parse(cls, session: Session, data: builtins.bytes, signature: builtins.bytes | None = None) -> Commit:
        """The commit whose `bytes` these are, with another signature when one is given; raises `MalformedData`."""
        signed = parse(wire.gateway.SignedCommitStatusRequest, data, "commit")
        request = parse(wire.gateway.CommitStatusRequest, signed.request, "commit status request")
        return cls(
            session, request.transaction_id, signed.request, signed.signature if signature is None else signature
        )

    @property
    def bytes(self) -> builtins.bytes:
        """The serialised `SignedCommitStatusRequest`, with the signature if there is one yet."""
        data: builtins.bytes = self._signed().SerializeToString()
        return data

    @property
    def digest(self) -> builtins.bytes:
        """What an offline signer signs."""
        return self._session.digest(self._request)

    def status(self, timeout: float | None = None) -> Status:
        """Waits until the transaction is in a block of this peer's ledger, valid or not.

        `timeout` in seconds replaces the gateway's deadline. Raises `CommitStatusError` when the outcome cannot be
        learnt, which says nothing about the outcome, and `SigningError` without a signature.
        """
        if not self._signature:
            self._signature = self._session.sign(self._request)
        answer = self._session.calls.commit_status(self._signed(), timeout, self.transaction_id)
        return Status(self.transaction_id, answer.result, answer.block_number)

    def _signed(self) -> wire.Message:
        return wire.gateway.SignedCommitStatusRequest(request=self._request, signature=self._signature)


@dataclass(frozen=True, slots=True)
class SubmittedTransaction:
    """A transaction accepted for ordering, with the result that the peers endorsed; not committed yet."""

    result: bytes
    commit: Commit

    @property
    def transaction_id(self) -> str:
        """The transaction's id."""
        return self.commit.transaction_id
