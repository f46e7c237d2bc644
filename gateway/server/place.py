# SPDX-License-Identifier: Apache-2.0
"""Where a gateway is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Which organisation's gateway this is, on which channel."""

    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str
