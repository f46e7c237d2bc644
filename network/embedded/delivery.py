# SPDX-License-Identifier: Apache-2.0
"""The four Deliver calls: whole, filtered and private blocks of a peer, and the orderer's blocks (rules D-10, D-11)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_event_pb2, events_pb2, events_pb2_grpc

from network.embedded import definitions
from network.embedded.blocks import COMMIT_HASH, TRANSACTIONS_FILTER, flags_of
from network.embedded.channel import Channel
from network.embedded.deliver import Deliverer, Seek
from network.embedded.orderer import BroadcastService, Orderer
from network.embedded.policy import Policy, PolicyNotSatisfied
from network.embedded.transactions import ENDORSER_TRANSACTION, parse


class DeliverService(events_pb2_grpc.DeliverServicer):  # type: ignore[misc]
    """`protos.Deliver` on one organisation's endpoint."""

    def __init__(self, channels: Mapping[str, Channel], org_msp: str, *, mutual_tls: bool = False) -> None:
        def private(seek: Seek, block: Any) -> Any:
            return block_and_private_data(seek, block, org_msp)

        def deliverer(resource: str, render: Any) -> Deliverer:
            def policy_of(config: Any) -> Policy:
                found: Policy = config.policy(config.acl(resource))
                return found

            return Deliverer(channels, policy_of, render, _peer_status, mutual_tls=mutual_tls)

        self._whole = deliverer("event/Block", _whole)
        self._filtered = deliverer("event/FilteredBlock", _filtered)
        self._private = deliverer("event/Block", private)

    async def Deliver(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for response in self._whole.stream(request_iterator, context):
            yield response

    async def DeliverFiltered(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for response in self._filtered.stream(request_iterator, context):
            yield response

    async def DeliverWithPrivateData(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for response in self._private.stream(request_iterator, context):
            yield response


class OrdererService(BroadcastService):
    """`orderer.AtomicBroadcast`."""

    def __init__(
        self, channels: Mapping[str, Channel], orderers: Mapping[str, Orderer], *, mutual_tls: bool = False
    ) -> None:
        super().__init__(orderers)

        def policy_of(config: Any) -> Policy:
            found: Policy = config.policy("/Channel/Readers")
            return found

        self._deliver = Deliverer(channels, policy_of, _ordered, _orderer_status, mutual_tls=mutual_tls)

    async def Deliver(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for response in self._deliver.stream(request_iterator, context):
            yield response


def _peer_status(status: int) -> Any:
    return events_pb2.DeliverResponse(status=status)


def _orderer_status(status: int) -> Any:
    return ab_pb2.DeliverResponse(status=status)


def _whole(seek: Seek, block: Any) -> Any:
    del seek
    return events_pb2.DeliverResponse(block=block)


def _ordered(seek: Seek, block: Any) -> Any:
    """As ordered, without what peers add: codes and commit hash (rule O-15)."""
    del seek
    bare = common_pb2.Block()
    bare.CopyFrom(block)
    for slot in (TRANSACTIONS_FILTER, COMMIT_HASH):
        bare.metadata.metadata[slot] = b""
    return ab_pb2.DeliverResponse(block=bare)


def _filtered(seek: Seek, block: Any) -> Any:
    return events_pb2.DeliverResponse(filtered_block=filtered_block(seek.channel.name, block))


def filtered_block(channel_id: str, block: Any) -> Any:
    """Ids, codes and events without payload, also of invalid transactions; what is undecodable is left out (D-10)."""
    filtered = events_pb2.FilteredBlock(channel_id=channel_id, number=block.header.number)
    for raw, code in zip(block.data.data, flags_of(block), strict=False):
        parsed = parse(raw)
        if parsed.type < 0:
            continue
        entry = filtered.filtered_transactions.add(
            txid=parsed.transaction_id, type=parsed.type, tx_validation_code=code
        )
        if parsed.type == ENDORSER_TRANSACTION:
            entry.transaction_actions.SetInParent()
            if parsed.event is not None:
                event = chaincode_event_pb2.ChaincodeEvent(
                    tx_id=parsed.event.tx_id,
                    chaincode_id=parsed.event.chaincode_id,
                    event_name=parsed.event.event_name,
                )
                entry.transaction_actions.chaincode_actions.add(chaincode_event=event)
    return filtered


def block_and_private_data(seek: Seek, block: Any, org_msp: str) -> Any:
    """The block with what this organisation's peer still holds and the requester may see (rule D-11)."""
    sets: dict[int, dict[str, Any]] = {}
    for held in seek.channel.store.private_writes(block.header.number, org_msp):
        if _may_see(seek, held.namespace, held.collection):
            one = rwset_pb2.CollectionPvtReadWriteSet(collection_name=held.collection, rwset=held.rwset)
            spaces = sets.setdefault(held.tx, {})
            if held.namespace not in spaces:
                spaces[held.namespace] = rwset_pb2.NsPvtReadWriteSet(namespace=held.namespace)
            spaces[held.namespace].collection_pvt_rwset.append(one)
    answer = events_pb2.BlockAndPrivateData(block=block)
    for tx, spaces in sets.items():
        answer.private_data_map[tx].CopyFrom(rwset_pb2.TxPvtReadWriteSet(ns_pvt_rwset=list(spaces.values())))
    return events_pb2.DeliverResponse(block_and_private_data=answer)


def _may_see(seek: Seek, ns: str, name: str) -> bool:
    channel = seek.channel
    with channel.store.snapshot() as snapshot:
        try:
            collection = definitions.collection(snapshot, channel.config, ns, name)
        except definitions.UnusableDefinitionError:
            return False
    if not collection.member_only_read:
        return True
    if seek.requester is None:
        return False
    try:
        collection.member_policy.evaluate_identities([seek.requester])
    except PolicyNotSatisfied:
        return False
    return True
