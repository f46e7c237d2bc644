# SPDX-License-Identifier: Apache-2.0
"""What a request that records something wants, what it is answered, and why it may have to wait or be refused."""

from dataclasses import dataclass

from gateway.services.ports import Category, Ending, PortError


class KeyReused(PortError):
    """The idempotency key was used before with another payload."""

    code = "idempotency-key-reused"
    category = Category.UNACCEPTABLE


class InProgress(PortError):
    """The first request with this key has not finished; its outcome is not known yet."""

    code = "in-progress"
    category = Category.CONFLICT
    retryable = True


@dataclass(frozen=True, slots=True)
class Intent:
    """Who wants something recorded, under which idempotency key, and how it wants the answer."""

    client: str
    key: str
    digest: str
    """SHA-256 over method, path and canonical body, in hex."""
    respond_async: bool = False
    organisations: tuple[str, ...] = ()
    """MSP ids of those that must endorse; empty when the peer chooses."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a submission ended, and whether that is the repetition of an earlier answer."""

    ending: Ending | None
    """`None` while it is pending."""
    submission_id: str
    replayed: bool = False

    @property
    def pending(self) -> bool:
        return self.ending is None
