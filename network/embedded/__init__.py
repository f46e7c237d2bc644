# SPDX-License-Identifier: Apache-2.0
"""One process that speaks Fabric's protocols: gateway, deliver, chaincode, MSP, policies, ordering, validation."""
