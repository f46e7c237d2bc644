# SPDX-License-Identifier: Apache-2.0
"""The second stage: a proposal to invoke a chaincode function, to be evaluated or endorsed."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from gateway.fabric import wire
from gateway.fabric.errors import MalformedData, UntrustedResponse
from gateway.fabric.messages import ProposalParts, parse, read_proposal, read_transaction
from gateway.fabric.session import Session
from gateway.fabric.transaction import Transaction
from gateway.fabric.verify import Expected, verify_prepared

__all__ = ["Proposal"]


class Proposal:
    """A proposal with its transaction id; made by `Contract.new_proposal` or rebuilt from bytes."""

    __slots__ = ("_organisations", "_parts", "_session", "_signature")

    def __init__(
        self,
        session: Session,
        parts: ProposalParts,
        organisations: Sequence[str] = (),
        signature: builtins.bytes = b"",
    ) -> None:
        self._session = session
        self._parts = parts
        self._organisations = tuple(organisations)
        self._signature = signature

    @classmethod
    def parse(cls, session: Session, data: builtins.bytes, signature: builtins.bytes | None = None) -> Proposal:
        """The proposal whose `bytes` these are, with another signature when one is given; raises `MalformedData`."""
        proposed = parse(wire.gateway.ProposedTransaction, data, "proposed transaction")
        parts = read_proposal(proposed.proposal.proposal_bytes)
        if proposed.transaction_id != parts.transaction_id:
            raise MalformedData("proposal: its transaction id is not that of its header")
        stored: builtins.bytes = proposed.proposal.signature
        organisations = list(proposed.endorsing_organizations)
        return cls(session, parts, organisations, stored if signature is None else signature)

    @property
    def transaction_id(self) -> str:
        """The id that the transaction will have on the ledger."""
        return self._parts.transaction_id

    @property
    def bytes(self) -> builtins.bytes:
        """The serialised `ProposedTransaction`, transient data included, with the signature if there is one yet."""
        data: builtins.bytes = wire.gateway.ProposedTransaction(
            transaction_id=self.transaction_id,
            proposal=wire.proposal.SignedProposal(proposal_bytes=self._parts.proposal, signature=self._signature),
            endorsing_organizations=self._organisations,
        ).SerializeToString()
        return data

    @property
    def digest(self) -> builtins.bytes:
        """What an offline signer signs."""
        return self._session.digest(self._parts.proposal)

    def check_signature(self) -> None:
        """Raises `SigningError` unless the identity's own key signed it; see `Session.check`."""
        self._session.check(self._parts.proposal, self._signature)

    def evaluate(self, timeout: float | None = None) -> builtins.bytes:
        """The function's result on one peer; nothing is written. `timeout` in seconds replaces the deadline.

        Raises `GatewayError`, and `SigningError` when there is neither signature nor signer.
        """
        request = wire.gateway.EvaluateRequest(
            transaction_id=self.transaction_id,
            channel_id=self._parts.channel,
            proposed_transaction=self._signed(),
            target_organizations=self._organisations,
        )
        result: builtins.bytes = self._session.calls.evaluate(request, timeout).result.payload
        return result

    def endorse(self, timeout: float | None = None) -> Transaction:
        """Collects endorsements and verifies what comes back. `timeout` in seconds replaces the deadline.

        Raises `EndorseError` when peers do not endorse, `UntrustedResponse` when the answer is not what was asked
        for, `SigningError` when there is neither signature nor signer.
        """
        parts = self._parts
        request = wire.gateway.EndorseRequest(
            transaction_id=parts.transaction_id,
            channel_id=parts.channel,
            proposed_transaction=self._signed(),
            endorsing_organizations=self._organisations,
        )
        envelope = self._session.calls.endorse(request, timeout).prepared_transaction
        return Transaction(
            self._session,
            envelope.payload,
            channel=parts.channel,
            transaction_id=parts.transaction_id,
            result=self._result(envelope),
        )

    def _result(self, envelope: wire.Message) -> builtins.bytes:
        trust = self._session.trust
        parts = self._parts
        if trust is None:
            try:
                return read_transaction(envelope.payload).result
            except MalformedData as exc:
                raise UntrustedResponse("malformed", str(exc), parts.transaction_id) from exc
        expected = Expected(
            transaction_id=parts.transaction_id,
            chaincode=parts.chaincode,
            channel_header=parts.channel_header,
            signature_header=parts.signature_header,
            payload=parts.payload,
            organisations=self._organisations,
        )
        return verify_prepared(envelope, expected, trust)

    def _signed(self) -> wire.Message:
        if not self._signature:
            self._signature = self._session.sign(self._parts.proposal)
        return wire.proposal.SignedProposal(proposal_bytes=self._parts.proposal, signature=self._signature)
