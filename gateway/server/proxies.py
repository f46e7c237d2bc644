# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end where a reverse proxy stands between: believed of those proxies alone that are named."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST = 16
"""Addresses of a header that are looked at: a request comes through few proxies."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The reverse proxies that may say whom a request comes from."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Proxies":
        """Read addresses and networks such as 10.0.0.7 and fd00::/64; raises `ValueError` naming what is neither."""
        found = []
        for text in texts:
            try:
                network = ipaddress.ip_network(text)
            except ValueError as exc:
                raise ValueError(f"{text!r} is neither an address nor a network: {exc}") from None
            if network.prefixlen == 0:
                raise ValueError(f"{text!r} is every address, so that anybody could say who they are")
            found.append(network)
        return cls(tuple(found))

    def has(self, address: str) -> bool:
        """Whether an address is that of a proxy."""
        found = _address(address)
        return found is not None and any(found in network for network in self.networks)

    def client(self, peer: str, forwarded: str | None) -> str:
        """The address that a request comes from.

        Of a named proxy it is the last one in `X-Forwarded-For` that is not a named proxy too: what stands before it
        was written by the client. Of everybody else it is the address that the connection has, whatever it says.
        """
        client = peer
        if not self.networks or not self.has(peer):
            return client
        for text in reversed((forwarded or "").rsplit(",", _MOST)[-_MOST:]):
            found = _address(text.strip())
            if found is None:
                return client
            client = str(found)
            if not self.has(client):
                return client
        return client


def _address(text: str) -> Address | None:
    """An IP address, of IPv4 also where it is written as one of IPv6; `None` for anything else."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
