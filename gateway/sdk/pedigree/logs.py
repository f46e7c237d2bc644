# SPDX-License-Identifier: Apache-2.0
"""The logs of the gateway's organisation, byte for byte: its transparency log, and the audit log of what it refused."""

import io
from pathlib import Path

from pedigree.calls import segment
from pedigree.operations import Operations
from pedigree.saving import replacing


class LogCalls(Operations):
    """Calls about the transparency log and the audit log."""

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

    def save_audit_log(self, path: Path | str) -> Path:
        """Write the whole audit log to a file, one entry a line, as it is hashed; `verify_audit_log` checks it.

        What was at `path` before is replaced when all of it came.
        """
        path = Path(path)
        with replacing(path) as file:
            self._transport.fetch("/v1/audit/export", file, lambda _: None)
        return path

    def _text(self, path: str) -> bytes:
        file = io.BytesIO()
        self._transport.fetch(path, file, lambda _: None)
        return file.getvalue()
