# SPDX-License-Identifier: Apache-2.0
"""How long a peer's Gateway service waits for another node, so that one that never answers leaves a client time."""

__all__ = ["ENDORSEMENT_TIMEOUT_S", "ORDERING_TIMEOUT_S"]

ENDORSEMENT_TIMEOUT_S = 6
"""For another peer to endorse, as Fabric's `peer.gateway.endorsementTimeout`.

Fabric's clients, ours among them, allow 15 s for Endorse: two peers that hang, one after the other, leave 3 s for the
next. A call of chaincode takes milliseconds, and seconds where a machine is overloaded. The execute timeout of the
chaincode (S-16) is longer, and ends only what the peer itself runs (G-3).
"""

ORDERING_TIMEOUT_S = 3
"""For one orderer to accept a transaction, as Fabric's `peer.gateway.broadcastTimeout`, where there are others to ask.

Fabric's clients, ours among them, allow 5 s for Submit. One orderer that hangs leaves 2 s for the next; a healthy one
answers when its consenters have the transaction, in milliseconds. What it had taken before it hung is ordered all the
same: a copy that another orders too is invalid, and the first one counts.
"""
