# SPDX-License-Identifier: Apache-2.0
"""Fabric's protobuf modules, gathered in one place because they carry no types and come from one pre-release.

Nothing else in this package imports generated code, so that another build of it is a change to this file only.
"""

from __future__ import annotations

from typing import Any

from fabric_protos.common import common_pb2, configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    events_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

__all__ = [
    "DecodeError",
    "Message",
    "chaincode",
    "chaincode_event",
    "common",
    "configtx",
    "configuration",
    "events",
    "gateway",
    "identities",
    "kv_rwset",
    "msp_config",
    "msp_principal",
    "orderer",
    "policies",
    "proposal",
    "proposal_response",
    "rpc_status",
    "rwset",
    "transaction",
]

Message = Any
"""Any message of the modules below."""

chaincode: Any = chaincode_pb2
chaincode_event: Any = chaincode_event_pb2
common: Any = common_pb2
configtx: Any = configtx_pb2
configuration: Any = configuration_pb2
events: Any = events_pb2
gateway: Any = gateway_pb2
identities: Any = identities_pb2
kv_rwset: Any = kv_rwset_pb2
msp_config: Any = msp_config_pb2
msp_principal: Any = msp_principal_pb2
orderer: Any = ab_pb2
policies: Any = policies_pb2
proposal: Any = proposal_pb2
proposal_response: Any = proposal_response_pb2
rpc_status: Any = status_pb2
rwset: Any = rwset_pb2
transaction: Any = transaction_pb2
