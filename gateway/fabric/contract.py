# SPDX-License-Identifier: Apache-2.0
"""The first stage: a chaincode on a channel, whose functions are evaluated and submitted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from gateway.fabric.calls import Deadlines
from gateway.fabric.commit import SubmittedTransaction
from gateway.fabric.messages import build_proposal
from gateway.fabric.proposal import Proposal
from gateway.fabric.session import Session

__all__ = ["Contract"]

_NONCE_BYTES = 24  # what Fabric's own clients use
_NO_OVERRIDE = Deadlines(evaluate=None, endorse=None, submit=None, commit_status=None)


class Contract:
    """The functions of one chaincode, or of one named contract in it; thread-safe.

    Each of the short methods equals its stages one after the other. Arguments are bytes, or text that is sent as
    UTF-8. `transient` data reaches the chaincode and never the ledger. `endorsing_organisations` are MSP ids whose
    peers must run the function, all of them and nobody else; without them the peer chooses.
    """

    __slots__ = ("_channel", "_session", "chaincode_name", "contract_name")

    def __init__(self, session: Session, channel: str, chaincode_name: str, contract_name: str | None) -> None:
        self._session = session
        self._channel = channel
        self.chaincode_name = chaincode_name
        self.contract_name = contract_name

    def evaluate(
        self,
        function: str,
        *args: bytes | str,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """The function's result on one peer; nothing is written. Raises `GatewayError`."""
        return self.new_proposal(function, args, transient, endorsing_organisations).evaluate(timeout)

    def submit(
        self,
        function: str,
        *args: bytes | str,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        deadlines: Deadlines | None = None,
    ) -> bytes:
        """The function's result, once the transaction is committed and valid on this peer.

        Raises `EndorseError`, `UntrustedResponse`, `SubmitError`, `CommitStatusError` according to the stage that
        failed, and `CommitError` when the transaction was committed as invalid.
        """
        deadlines = deadlines or _NO_OVERRIDE
        submitted = self.submit_async(
            function,
            *args,
            transient=transient,
            endorsing_organisations=endorsing_organisations,
            deadlines=deadlines,
        )
        submitted.commit.status(deadlines.commit_status).raise_for_status()
        return submitted.result

    def submit_async(
        self,
        function: str,
        *args: bytes | str,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        deadlines: Deadlines | None = None,
    ) -> SubmittedTransaction:
        """The function's result and a way to ask for the outcome, as soon as the transaction is accepted for ordering.

        Raises `EndorseError`, `UntrustedResponse` or `SubmitError`.
        """
        deadlines = deadlines or _NO_OVERRIDE
        proposal = self.new_proposal(function, args, transient, endorsing_organisations)
        transaction = proposal.endorse(deadlines.endorse)
        return SubmittedTransaction(transaction.result, transaction.submit(deadlines.submit))

    def new_proposal(
        self,
        function: str,
        arguments: Sequence[bytes | str] = (),
        transient: Mapping[str, bytes] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        nonce: bytes | None = None,
    ) -> Proposal:
        """A proposal that is not sent yet.

        The transaction id is SHA-256 over `nonce` and the identity, so a caller that derives the nonce from its own
        request proposes the same id again after any loss; by default it is 24 random bytes.
        """
        name = function if self.contract_name is None else f"{self.contract_name}:{function}"
        parts = build_proposal(
            self._session.creator,
            self._channel,
            self.chaincode_name,
            [name.encode(), *(a.encode() if isinstance(a, str) else a for a in arguments)],
            transient=transient or {},
            nonce=secrets.token_bytes(_NONCE_BYTES) if nonce is None else nonce,
            timestamp_ns=self._session.clock(),
        )
        return Proposal(self._session, parts, endorsing_organisations or ())
