# SPDX-License-Identifier: Apache-2.0
"""Exchanges the TLS certificate of one orderer in every channel; all others must be at work meanwhile."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from network import overview
from network.config import changes
from network.config.submit import Done, change
from network.embedded.identity import Signer
from network.topology import Channel, Endpoint
from network.wire import WireError

__all__ = ["replaced"]

_COUNT_S, _PAUSE_S = 60.0, 0.5
_TOO_FEW = "quorum loss"
"""In Fabric's refusal to change a consenter while another one is away."""


def replaced(
    described: Mapping[str, Any], channels: Sequence[Channel], address: Endpoint, certificate: bytes, signer: Signer
) -> Iterator[tuple[str, int]]:
    """Put a consenter's certificate (PEM) into one channel after the other.

    `address` is where the other consenters reach it, `signer` an administrator of the ordering organisation. Yields
    each channel that had to be changed, with the block that did it; from then on the others neither dial nor admit the
    node with its former certificate. Raises `WireError` or `ConfigError`.
    """
    names = {entry["mspid"]: entry["name"] for entry in described["organisations"]}
    with overview.administrators(described) as everybody, overview.ordering(described) as ordering:
        for channel in channels:
            members = [each for each in everybody if names[each.member.msp_id] in channel.organisations]

            def attempt(name: str = channel.name, members: Sequence[Any] = members) -> Done:
                def wanted(config: Any) -> Any:
                    return changes.replace_consenter_certificate(config, address, certificate)

                # The node may be the leader, or one that a peer takes its blocks from: both are cut off by this change.
                return change(name, wanted, members, ordering, approving=[signer], enough=1)

            done = _patiently(attempt)
            if done.changed:
                yield channel.name, done.block


def _patiently(attempt: Callable[[], Done]) -> Done:
    """Have a consenter changed as soon as the leader counts enough of them to lose one.

    It counts a node some seconds after the node is back, and refuses until then.
    """
    give_up = time.monotonic() + _COUNT_S
    while True:
        try:
            return attempt()
        except WireError as error:
            if _TOO_FEW not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(_PAUSE_S)
