# SPDX-License-Identifier: Apache-2.0
"""What the ledger says of requests that this gateway remembers no more."""

from gateway.services.batched import part_of
from gateway.services.ports import ReadModel, Recorded, Submission
from gateway.services.secret import Secret


class Recordings:
    """Finds what was recorded under an idempotency key, by the token that its transaction has on the ledger."""

    def __init__(self, readmodel: ReadModel, secret: Secret, organisation: str) -> None:
        """Assign.

        Args:
            organisation: MSP id of the one whose requests these are.
        """
        self._readmodel = readmodel
        self._secret = secret
        self._organisation = organisation

    def find(self, client: str, key: str) -> Submission | None:
        """A client's request as it ended, if it recorded one command; a batch's own key leads to nothing."""
        token = self._secret.token_of(client, key)
        seen = self._readmodel.recorded(f"{self._organisation}:{token}:")
        reply = {} if seen is None else part_of(seen.reply or {}, token)
        if seen is None or "record" not in reply:
            return None
        transaction, block = seen.outcome.transaction_id, seen.outcome.block
        return Submission(
            id=self._secret.submission_id(client, key), client=client, key=key, request_hash="", function="",
            command="", state="final", attempt=1, created=0.0, transaction_id=transaction,
            ending=Recorded({**reply, "transaction": {"id": transaction, "block": block}}, block + 1),
        )  # fmt: skip
