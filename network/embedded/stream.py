# SPDX-License-Identifier: Apache-2.0
"""Drive one chaincode session over one gRPC stream, whichever side opened it."""

from collections.abc import Callable
from typing import Any, Protocol

from network.embedded.session import Session, StreamViolation

__all__ = ["Duplex", "drive"]


class Duplex(Protocol):
    """What a served and a dialled stream have in common."""

    def send(self, message: Any) -> None:
        """Send a message; never blocks."""
        ...

    async def pump(self, take: Callable[[Any], None]) -> None:
        """Hand every message to `take` until the other side sends no more."""
        ...


async def drive(session: Session, stream: Duplex) -> None:
    """Run the session until the stream ends; every pending call has failed when this returns.

    Raises StreamViolation when the session ended it. A connection that breaks ends it like an orderly close.
    """
    try:
        await stream.pump(session.receive)
    except StreamViolation:
        raise
    except ConnectionError:
        return
    finally:
        session.close()
