# SPDX-License-Identifier: Apache-2.0
"""How much a gateway has under way, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what a gateway has under way; times in seconds."""

    in_flight: int = 256
    backlog: int = 1024
    """Submissions that nobody waits for any more, in memory at once."""
    waiters: int = 16
    wait: float = 30.0
    """How long a request waits for its commit before it is answered as pending."""
    height_wait: float = 5.0
    """How long a read waits for the height that it asks for."""
    fallback_after: float = 2.0
    resend_after: float = 8.0
    """How long an accepted envelope may be in no block before it is sent again: a leader that died may have lost it."""
    attempts: int = 5
    burned: int = 64
    """How many used-up attempts of one key are walked over."""
    accepted_for: float = 600.0
    """How long a promised submission that cannot be endorsed is tried before it is given up."""
