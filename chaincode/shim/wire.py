# SPDX-License-Identifier: Apache-2.0
"""The protobuf messages of the chaincode protocol, gathered in one place because they carry no types.

Nothing else in this package imports generated code, so what crosses the border is typed by hand here.
"""

from enum import IntEnum
from typing import Any

from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    proposal_pb2,
    proposal_response_pb2,
)
from google.protobuf.message import DecodeError

from chaincode.shim.errors import ProtocolError

_common: Any = common_pb2
_policies: Any = policies_pb2
_query: Any = kv_query_result_pb2
_identities: Any = identities_pb2
_principals: Any = msp_principal_pb2
_event: Any = chaincode_event_pb2
_chaincode: Any = chaincode_pb2
_shim: Any = chaincode_shim_pb2
_proposal: Any = proposal_pb2
_response: Any = proposal_response_pb2

ChaincodeMessage = _shim.ChaincodeMessage
GetState = _shim.GetState
GetStateMultiple = _shim.GetStateMultiple
GetStateMultipleResult = _shim.GetStateMultipleResult
GetStateMetadata = _shim.GetStateMetadata
StateMetadata = _shim.StateMetadata
StateMetadataResult = _shim.StateMetadataResult
PutState = _shim.PutState
PutStateMetadata = _shim.PutStateMetadata
DelState = _shim.DelState
WriteBatchState = _shim.WriteBatchState
WriteRecord = _shim.WriteRecord
GetStateByRange = _shim.GetStateByRange
GetQueryResult = _shim.GetQueryResult
GetHistoryForKey = _shim.GetHistoryForKey
QueryMetadata = _shim.QueryMetadata
QueryResponse = _shim.QueryResponse
QueryResponseMetadata = _shim.QueryResponseMetadata
QueryStateNext = _shim.QueryStateNext
QueryStateClose = _shim.QueryStateClose
ChaincodeID = _chaincode.ChaincodeID
ChaincodeInput = _chaincode.ChaincodeInput
ChaincodeSpec = _chaincode.ChaincodeSpec
ChaincodeAdditionalParams = _chaincode.ChaincodeAdditionalParams
ChaincodeEvent = _event.ChaincodeEvent
ResponseMessage = _response.Response
SignedProposal = _proposal.SignedProposal
Proposal = _proposal.Proposal
ChaincodeProposalPayload = _proposal.ChaincodeProposalPayload
Header = _common.Header
ChannelHeader = _common.ChannelHeader
SignatureHeader = _common.SignatureHeader
SerializedIdentity = _identities.SerializedIdentity
KeyValue = _query.KV
KeyChange = _query.KeyModification
SignaturePolicy = _policies.SignaturePolicy
SignaturePolicyEnvelope = _policies.SignaturePolicyEnvelope
MSPPrincipal = _principals.MSPPrincipal
MSPRole = _principals.MSPRole


class MessageType(IntEnum):
    """The types of a `ChaincodeMessage` (rule S-2)."""

    REGISTER = 1
    REGISTERED = 2
    INIT = 3
    READY = 4
    TRANSACTION = 5
    COMPLETED = 6
    ERROR = 7
    GET_STATE = 8
    PUT_STATE = 9
    DEL_STATE = 10
    INVOKE_CHAINCODE = 11
    RESPONSE = 13
    GET_STATE_BY_RANGE = 14
    GET_QUERY_RESULT = 15
    QUERY_STATE_NEXT = 16
    QUERY_STATE_CLOSE = 17
    KEEPALIVE = 18
    GET_HISTORY_FOR_KEY = 19
    GET_STATE_METADATA = 20
    PUT_STATE_METADATA = 21
    GET_PRIVATE_DATA_HASH = 22
    PURGE_PRIVATE_DATA = 23
    WRITE_BATCH_STATE = 24
    GET_STATE_MULTIPLE = 25


def type_name(number: int) -> str:
    """The name of a message type, or its number where the number is not of the protocol."""
    try:
        return MessageType(number).name
    except ValueError:
        return f"type {number}"


def decode(message_type: Any, data: bytes) -> Any:
    """Decode what the peer sent.

    Raises:
        ProtocolError: when `data` is not such a message.
    """
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        raise ProtocolError(f"the peer sent an undecodable {message_type.DESCRIPTOR.name}") from error
