# SPDX-License-Identifier: Apache-2.0
"""The transparency log of the gateway's organisation: receipts, the checkpoint and the policy, byte for byte."""

import io

from pedigree.calls import segment
from pedigree.operations import Operations


class LogCalls(Operations):
    """Calls about the transparency log."""

    def receipt(self, transaction: str) -> bytes:
        """A file that proves anywhere that a valid transaction is in the organisation's log, and who cosigned that.

        It is a proof as c2sp.org/tlog-proof has it; `pedigree verify` checks it without a network, by a policy that you
        trust. The gateway waits a moment for witnesses that are slow; one that cannot be reached is missing from it.

        Args:
            transaction: the transaction's id, or the reference of the record that it wrote: `model-version:net:1`.
        """
        if ":" in transaction:
            transaction = self.artifact(transaction)["transaction"]["id"]
        return self._text(f"/v1/transactions/{segment(transaction)}/receipt")

    def checkpoint(self) -> bytes:
        """The log's last checkpoint, a signed note, with the cosignatures that were collected."""
        return self._text("/v1/log/checkpoint")

    def log_policy(self) -> bytes:
        """The policy that this organisation goes by: which logs and witnesses it knows, and how many must agree.

        Take it from an organisation that you trust: its words say whose signatures are enough.
        """
        return self._text("/v1/log/policy")

    def _text(self, path: str) -> bytes:
        file = io.BytesIO()
        self._transport.fetch(path, file, lambda _: None)
        return file.getvalue()
