# SPDX-License-Identifier: Apache-2.0
"""Whom an embedded network takes in, as its operator says."""

from dataclasses import dataclass

from network.embedded import CONNECTIONS_PER_ADDRESS

__all__ = ["Admission"]


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom an embedded network's listeners take in."""

    chaincode_dials: bool = False
    """Chaincode may dial its organisation's listener, with the token in its folder."""
    connections_per_address: int = CONNECTIONS_PER_ADDRESS

    def arguments(self) -> list[str]:
        """The same as arguments of `up`."""
        dials = ["--chaincode-dials"] if self.chaincode_dials else []
        return [*dials, "--connections-per-address", str(self.connections_per_address)]
