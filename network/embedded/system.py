# SPDX-License-Identifier: Apache-2.0
"""The system chaincodes that explorers and tools query: `qscc` (blocks, transactions) and `cscc` (configuration)."""

from collections.abc import Callable, Mapping
from typing import Any

from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import proposal_response_pb2, query_pb2, transaction_pb2

from network.embedded.channelconfig import AccessDenied
from network.embedded.execution import SystemCall
from network.embedded.policy import SignedData

__all__ = ["Cscc", "Qscc"]

_NEWEST = 2**64 - 1
_DIGITS = len(str(_NEWEST))


class QueryError(ValueError):
    """The query cannot be answered; the text is that of rule L-13."""


class Qscc:
    """Blocks and transactions of a channel; runs without a simulator (rule S-20)."""

    simulates = False

    def __init__(self, channels: Mapping[str, Any]) -> None:
        self._channels = channels
        self._functions: dict[str, Callable[[Any, bytes], Any]] = {
            "GetChainInfo": self._chain_info,
            "GetBlockByNumber": self._block_by_number,
            "GetBlockByHash": self._block_by_hash,
            "GetTransactionByID": self._transaction,
            "GetBlockByTxID": self._block_by_transaction,
        }

    def invoke(self, call: SystemCall) -> Any:
        """Answer [function, channel, argument]; refusals have status 500 (rule L-13)."""
        arguments = call.arguments
        if len(arguments) < 2:
            return _error(f"Incorrect number of arguments, {len(arguments)}")
        name, channel_id = (argument.decode(errors="replace") for argument in arguments[:2])
        channel = self._channels.get(channel_id)
        if channel is None:
            return _error(f"Invalid chain ID, {channel_id}")
        function = self._functions.get(name)
        if function is None:
            return _error(f"Requested function {name} not found.")
        if call.from_chaincode:
            return _error(
                "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, "
                f"original invocation for '{call.transaction.proposal.chaincode}'"
            )
        if name != "GetChainInfo" and len(arguments) < 3:
            return _error(f"missing 3rd argument for {name}")
        denied = _denial(call, channel, f"qscc/{name}")
        if denied is not None:
            return _error(f"access denied for [{name}][{channel_id}]: [{denied}]")
        try:
            result = function(channel.store, arguments[2] if len(arguments) > 2 else b"")
        except QueryError as error:
            return _error(str(error))
        return proposal_response_pb2.Response(status=200, payload=result.SerializeToString())

    def _chain_info(self, store: Any, _argument: bytes) -> Any:
        newest = store.block(store.height - 1)
        return ledger_pb2.BlockchainInfo(
            height=store.height, currentBlockHash=store.tip_hash, previousBlockHash=newest.header.previous_hash
        )

    def _block_by_number(self, store: Any, argument: bytes) -> Any:
        text = argument.decode(errors="replace")
        digits = text.lstrip("0") or text[-1:]  # Python refuses to read numbers of more than 4,300 digits
        if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS or int(digits) > _NEWEST:
            raise QueryError(f"Failed to parse block number with error strconv.ParseUint: parsing {text!r}")
        number = int(digits)
        block = store.block(store.height - 1 if number == _NEWEST else number)
        if block is None:
            raise QueryError(f"Failed to get block number {number}, error no such block number [{number}] in index")
        return block

    def _block_by_hash(self, store: Any, argument: bytes) -> Any:
        block = store.by_hash(argument)
        if block is None:
            raise QueryError(
                f"Failed to get block hash {argument.hex()}, error no such block hash [{argument.hex()}] in index"
            )
        return block

    def _block_by_transaction(self, store: Any, argument: bytes) -> Any:
        text = argument.decode(errors="replace")
        place = store.by_transaction(text)
        if place is None:
            raise QueryError(f"Failed to get block for txID {text}, error no such transaction ID [{text}] in index")
        return store.block(place.block_number)

    def _transaction(self, store: Any, argument: bytes) -> Any:
        text = argument.decode(errors="replace")
        place = store.by_transaction(text)
        if place is None:
            raise QueryError(
                f"Failed to get transaction with id {text}, error no such transaction ID [{text}] in index"
            )
        envelope = store.envelope(place.block_number, place.tx_number)
        return transaction_pb2.ProcessedTransaction(transactionEnvelope=envelope, validationCode=place.code)


class Cscc:
    """Channels of this peer and their configuration (rule L-15); runs without a simulator."""

    simulates = False

    def __init__(self, msp_id: str, channels: Mapping[str, Any]) -> None:
        self._msp_id = msp_id
        self._channels = channels

    def invoke(self, call: SystemCall) -> Any:
        """Answer GetChannels, GetConfigBlock or GetChannelConfig; refusals have status 500."""
        if not call.arguments:
            return _error("Incorrect number of arguments, 0")
        name = call.arguments[0].decode(errors="replace")
        if call.from_chaincode:
            return _error(
                "Rejecting invoke of CSCC from another chaincode, "
                f"original invocation for '{call.transaction.proposal.chaincode}'"
            )
        if name == "GetChannels":
            return self._get_channels(call)
        if name in ("GetConfigBlock", "GetChannelConfig"):
            return self._get_config(call, name)
        return _error(f"Requested function {name} not found.")

    def _get_channels(self, call: SystemCall) -> Any:
        creator = call.transaction.creator
        if creator.msp_id != self._msp_id or not self._is_member(creator):
            return _error(
                "access denied for [GetChannels]: [Failed verifying that proposal's creator satisfies local MSP "
                "principal during channelless check policy with policy [Members]]"
            )
        found = [query_pb2.ChannelInfo(channel_id=channel_id) for channel_id in self._channels]
        return _success(query_pb2.ChannelQueryResponse(channels=found))

    def _is_member(self, creator: Any) -> bool:
        role = msp_principal_pb2.MSPRole(msp_identifier=self._msp_id, role=msp_principal_pb2.MSPRole.MEMBER)
        member = msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString()
        )
        return any(channel.config.msps.satisfies(creator, member) for channel in self._channels.values())

    def _get_config(self, call: SystemCall, name: str) -> Any:
        if len(call.arguments) < 2:
            return _error(f"Incorrect number of arguments, {len(call.arguments)}")
        channel_id = call.arguments[1].decode(errors="replace")
        channel = self._channels.get(channel_id)
        if channel is None:
            return _error(f"access denied for [{name}][{channel_id}]: [Invalid channel ID]")
        denied = _denial(call, channel, f"cscc/{name}")
        if denied is not None:
            return _error(f"access denied for [{name}][{channel_id}]: [{denied}]")
        if name == "GetChannelConfig":
            return _success(channel.config.envelope.config)
        return _success(_config_block(channel.store))


def _config_block(store: Any) -> Any:
    """The block that the newest block names as its last configuration; the genesis block names none."""
    metadata = common_pb2.Metadata.FromString(
        store.block(store.height - 1).metadata.metadata[common_pb2.BlockMetadataIndex.SIGNATURES]
    )
    index = common_pb2.OrdererBlockMetadata.FromString(metadata.value).last_config.index
    return store.block(index)


def _denial(call: SystemCall, channel: Any, resource: str) -> str | None:
    """Why the client may not read from that channel, None when it may (rule P-26)."""
    transaction = call.transaction
    try:
        if channel is transaction.channel:
            channel.config.check_acl_identity(resource, transaction.creator)
        else:
            # Another channel than the proposal's has organisations and policies of its own.
            proposal = transaction.proposal
            signed = SignedData(proposal.proposal_bytes, proposal.creator, transaction.signed.signature)
            channel.config.check_acl(resource, [signed])
    except AccessDenied as refusal:
        return str(refusal)
    return None


def _success(message: Any) -> Any:
    return proposal_response_pb2.Response(status=200, payload=message.SerializeToString())


def _error(message: str) -> Any:
    return proposal_response_pb2.Response(status=500, message=message)
