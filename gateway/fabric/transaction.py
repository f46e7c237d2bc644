# SPDX-License-Identifier: Apache-2.0
"""The third stage: a transaction that peers have endorsed and that waits for the client's signature."""

from __future__ import annotations

import builtins

from gateway.fabric import wire
from gateway.fabric.blocks import envelope_mark
from gateway.fabric.commit import Commit
from gateway.fabric.errors import MalformedData
from gateway.fabric.messages import parse, read_transaction
from gateway.fabric.session import Session

__all__ = ["Transaction"]


class Transaction:
    """An endorsed transaction; made by `Proposal.endorse`, which has verified it, or rebuilt from bytes.

    Bytes given to `Gateway.new_transaction` are not verified again: they are the caller's own.
    """

    __slots__ = ("_channel", "_payload", "_session", "_signature", "result", "transaction_id")

    def __init__(
        self,
        session: Session,
        payload: builtins.bytes,
        *,
        channel: str,
        transaction_id: str,
        result: builtins.bytes,
        signature: builtins.bytes = b"",
    ) -> None:
        self._session = session
        self._channel = channel
        self._payload = payload
        self._signature = signature
        self.transaction_id = transaction_id
        self.result = result

    @classmethod
    def parse(cls, session: Session, data: builtins.bytes, signature: builtins.bytes | None = None) -> Transaction:
        """The transaction whose `bytes` these are, with another signature when one is given; raises `MalformedData`."""
        prepared = parse(wire.gateway.PreparedTransaction, data, "transaction")
        parts = read_transaction(prepared.envelope.payload)
        if prepared.transaction_id != parts.transaction_id:
            raise MalformedData("transaction: its transaction id is not that of its header")
        return cls(
            session,
            prepared.envelope.payload,
            channel=parts.channel,
            transaction_id=parts.transaction_id,
            result=parts.result,
            signature=prepared.envelope.signature if signature is None else signature,
        )

    @property
    def bytes(self) -> builtins.bytes:
        """The serialised `PreparedTransaction`, with the signature if there is one yet.

        Taken after `sign`, these bytes are what may be kept before `submit` and submitted again after any loss.
        """
        data: builtins.bytes = wire.gateway.PreparedTransaction(
            transaction_id=self.transaction_id, envelope=self._envelope()
        ).SerializeToString()
        return data

    @staticmethod
    def mark_of(data: builtins.bytes) -> str:
        """What tells the envelope in these `bytes` from any other with the same id (`blocks.envelope_mark`).

        Raises `MalformedData`.
        """
        envelope = parse(wire.gateway.PreparedTransaction, data, "transaction").envelope
        return envelope_mark(envelope.payload, envelope.signature)

    @property
    def digest(self) -> builtins.bytes:
        """What an offline signer signs."""
        return self._session.digest(self._payload)

    @property
    def signature(self) -> builtins.bytes:
        """The client's signature; empty until the transaction is signed."""
        return self._signature

    def check_signature(self) -> None:
        """Raises `SigningError` unless the identity's own key signed it; see `Session.check`."""
        self._session.check(self._payload, self._signature)

    def sign(self) -> None:
        """Signs unless a signature is there already; raises `SigningError` without a signer."""
        if not self._signature:
            self._signature = self._session.sign(self._payload)

    def submit(self, timeout: float | None = None) -> Commit:
        """Hands the signed envelope to the ordering service; `timeout` in seconds replaces the gateway's deadline.

        Returns when an orderer has accepted it, which promises no commit. Everything that can fail locally, the
        signature of the status request too, happens before anything is sent. Raises `SubmitError`, of which only code
        ABORTED proves that the transaction was not accepted; and `SigningError`.
        """
        self.sign()
        commit = Commit.prepare(self._session, self._channel, self.transaction_id)
        request = wire.gateway.SubmitRequest(
            transaction_id=self.transaction_id, channel_id=self._channel, prepared_transaction=self._envelope()
        )
        self._session.calls.submit(request, timeout)
        return commit

    def _envelope(self) -> wire.Message:
        return wire.common.Envelope(payload=self._payload, signature=self._signature)
