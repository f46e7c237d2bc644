# SPDX-License-Identifier: Apache-2.0
"""How many connections each address has, over all listeners that share the count."""

import asyncio
import ipaddress
import logging
from typing import Any

from network.embedded.transport.carrier import Carrier

__all__ = ["Crowd", "Guest"]

log = logging.getLogger(__name__)


class Guest:
    """A connection from the moment that it is accepted: `task` brings it as far as a carrier with a transport."""

    def __init__(self, address: str, carrier: Carrier) -> None:
        self.address = address
        self.carrier = carrier
        self.task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked over it, perhaps because it has not come so far."""
        return not self.carrier.connection.streams

    def end(self) -> None:
        """Hang up."""
        if self.carrier.transport is not None:
            self.carrier.transport.abort()
        elif self.task is not None:
            self.task.cancel()


class Crowd:
    """The guests of each address, at most `limit`. Belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._guests: dict[str, dict[Guest, None]] = {}
        """By address; the first to come first."""

    def admit(self, guest: Guest) -> bool:
        """Count a guest; where its address has too many, the first that asks nothing is ended, else the new one is
        not admitted."""
        known = self._guests.setdefault(guest.address, {})
        if len(known) >= self._limit:
            idle = next((one for one in known if one.is_idle), None)
            if idle is None:
                log.info("a connection of %s is refused: it has %d", guest.address, self._limit)
                return False
            del known[idle]
            idle.end()
        known[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """Count a guest no longer; the second time has no effect."""
        known = self._guests.get(guest.address, {})
        known.pop(guest, None)
        if not known:
            self._guests.pop(guest.address, None)


def address_of(place: Any) -> str:
    """What a connection counts for: its address; for IPv6 its network, of which one client has all."""
    address = ipaddress.ip_address(place[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
