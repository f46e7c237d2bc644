# SPDX-License-Identifier: Apache-2.0
"""Whole transactions that are signed with a key which no gateway has: prepared, endorsed and ordered by one's own."""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from pedigree.documents import SubmittedTransaction, UnsignedTransaction
from pedigree.operations import Operations
from pedigree.uploads import Upload

_MEDIA_TYPE: Final = "application/vnd.pedigree.transaction+json"


class ElsewhereCalls(Operations):
    """Calls about transactions that are signed elsewhere."""

    def prepare_transaction(
        self, function: str, command: Mapping[str, object], certificate: str, *, key: str | None = None
    ) -> UnsignedTransaction:
        """The proposal of a command, to be signed within two minutes with the key of a certificate (PEM).

        Args:
            function: such as `model:register`, as the ledger calls it.
            command: the fields of the command.
            key: idempotency key; of any number of transactions with one key at most one is recorded.
        """
        asked = {"function": function, "command": command, "certificate": certificate, "key": key or str(uuid.uuid4())}
        prepared: UnsignedTransaction = self._step("prepare", asked)
        return prepared

    def endorse_transaction(self, signed: Mapping[str, object]) -> UnsignedTransaction:
        """The transaction that a proposal with its `signature` came to, to be signed in turn within ten minutes."""
        endorsed: UnsignedTransaction = self._step("endorse", signed)
        return endorsed

    def submit_transaction(self, signed: Mapping[str, object]) -> SubmittedTransaction:
        """Have a transaction with its `signature` ordered; the repetition is answered as the first time."""
        submitted: SubmittedTransaction = self._step("submit", signed)
        result: Any = submitted["result"]
        if result is not None:
            self._transport.at_least(result["transaction"]["block"] + 1)
        return submitted

    def _step(self, name: str, document: Mapping[str, object]) -> Any:
        content = json.dumps(document, ensure_ascii=False).encode()
        return self._send(f"/v1/transactions/{name}", Upload(content, _MEDIA_TYPE, len(content)), {})
