# SPDX-License-Identifier: Apache-2.0
"""One process that speaks Fabric's protocols: gateway, deliver, chaincode, MSP, policies, ordering, validation."""

CONNECTIONS_PER_ADDRESS = 512
"""How many connections one client's address may have with a node, over all of its listeners, unless it is said
otherwise: a process may have 1024 files open on many systems, and everybody on one machine shares an address."""
