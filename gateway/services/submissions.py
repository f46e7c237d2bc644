# SPDX-License-Identifier: Apache-2.0
"""Submissions as they survive a restart, and who is at which idempotency key where several gateways share them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.services.endings import Ending

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt of ours to make a transaction, as it survives a restart."""

    id: str
    client: str
    key: str
    request_hash: str
    function: str
    command: str
    """Empty while it is being made from an upload."""
    state: str
    """`accepted` (promised, nothing signed yet), `prepared` (envelope stored, may be ordered) or `final`."""
    attempt: int
    created: float
    organisations: tuple[str, ...] = ()
    """Those that the caller wants to endorse; empty when the peer chooses."""
    filled: tuple[str, ...] = ()
    """Fields of the command that nobody but the gateway chose, such as `number`."""
    transaction_id: str | None = None
    envelope: bytes | None = None
    reply: Json | None = None
    ending: Ending | None = None
    elsewhere: bool = False
    """Whether another key than this gateway's signed the envelope, so that there is no further attempt."""


class Submissions(Protocol):
    """Idempotency keys and the state of every submission.

    `save` returns only when the row would survive a power cut; `finish` may lag behind, because a lost
    final state is found again from the transaction id.
    """

    def find(self, client: str, key: str) -> Submission | None: ...

    def get(self, submission_id: str) -> Submission | None: ...

    def save(self, submission: Submission) -> None: ...

    def finish(self, submission: Submission) -> None: ...

    def unfinished(self) -> Iterable[Submission]:
        """Those that no living gateway is at, but for this one where it is the only one."""
        ...

    def claim(self, client: str, key: str, request_hash: str) -> str | None:
        """Take a key for this gateway, until `release`; where another that lives has it, the hash of its request."""
        ...

    def release(self, client: str, key: str) -> None:
        """Give back a key that this gateway has; after what was saved or finished before."""
        ...

    def is_claimed(self, client: str, key: str) -> bool:
        """Whether a gateway that shares these is at a key."""
        ...

    def may_record(self, root: str) -> bool:
        """Whether a submission whose command names this root was recorded, or may still be."""
        ...
