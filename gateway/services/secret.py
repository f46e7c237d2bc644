# SPDX-License-Identifier: Apache-2.0
"""The gateway's secret, and what is derived from it: the same request gives the same nonce after any loss."""

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256

from gateway.services.ports import Submission

_NONCE_SIZE = 24


class Secret:
    """Derives nonces and operation ids; the same parts give the same result as long as the key is kept."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def nonce(self, submission: Submission) -> bytes:
        return self._derive("nonce", submission.client, submission.key, str(submission.attempt))[:_NONCE_SIZE]  # 2

    def token(self, submission: Submission) -> str:
        """What names the request on the ledger, the same for every attempt and under every certificate."""
        return self.token_of(submission.client, submission.key)

    def token_of(self, client: str, key: str) -> str:
        """The token of a client's request with an idempotency key."""
        return self._derive("token", client, key).hex()

    def acting(self, client: str) -> str:
        """What names a client of this gateway on the ledger: 32 hexadecimal digits that say nothing to anybody else."""
        return self._derive("acting", client).hex()[:32]

    def naming(self, clients: Callable[[], Iterable[tuple[str, str]]]) -> Callable[[], list[tuple[str, str]]]:
        """For ids and names of clients what the ledger calls each, and its name."""
        return lambda: [(self.acting(client), name) for client, name in clients()]

    def submission_id(self, client: str, key: str) -> str:
        return self._derive("operation", client, key).hex()[:32]

    def seal(self, client: str, content: bytes) -> str:
        """What shows that this gateway gave `content` out to a client: 64 hexadecimal digits."""
        return self._derive("seal", client, sha256(content).hexdigest()).hex()

    def _derive(self, *parts: str) -> bytes:
        # Lengths keep ("a", "b|c") and ("a|b", "c") apart.
        message = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8")
        return hmac.digest(self._key, message, "sha256")
