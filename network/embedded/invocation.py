# SPDX-License-Identifier: Apache-2.0
"""One call of one chaincode, and the peer's answers to what the chaincode asks while it runs (rule S-10)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_shim_pb2

from network.embedded.definitions import UnusableDefinitionError, collection
from network.embedded.identity import Identity
from network.embedded.policy import PolicyNotSatisfied
from network.embedded.proposal import Proposal
from network.embedded.queries import Results, page
from network.embedded.simulator import SimulationError, Simulator

__all__ = ["DEFAULT_QUERY_LIMIT", "HANDLERS", "Invocation", "Transaction"]

DEFAULT_QUERY_LIMIT = 100_000
"""Results of one query before it is cut off silently (rule S-26)."""

Message = chaincode_shim_pb2.ChaincodeMessage


@dataclass(slots=True)
class Transaction:
    """What all chaincode calls of one proposal share on one organisation's peer."""

    channel: Any
    """The channel, None for a call without one (rule P-19)."""
    proposal: Proposal
    signed: Any
    """The `SignedProposal` exactly as received (rule S-15)."""
    creator: Identity
    simulator: Simulator | None


@dataclass(slots=True, eq=False)
class Invocation:
    """One call of one chaincode on one stream."""

    transaction: Transaction
    simulator: Simulator
    """The transaction's own, or a fresh one when another channel's chaincode is called."""
    channel_id: str
    chaincode: str
    """The namespace that it reads and writes (rule S-23)."""
    input: Any
    is_init: bool
    outcome: asyncio.Future[Any]
    """The COMPLETED or ERROR message."""
    call_other: "Callable[[Invocation, bytes], Awaitable[bytes]]"
    """Carries out INVOKE_CHAINCODE; answers the bytes of the inner message."""
    query_limit: int = DEFAULT_QUERY_LIMIT
    busy: bool = False
    """A request is being answered; another one meanwhile is dropped (rule S-12)."""
    task: asyncio.Task[None] | None = None
    """The call of another chaincode that is under way."""
    _queries: dict[str, Results] = field(default_factory=dict)
    _query_count: int = 0
    _permissions: dict[str, tuple[bool, bool]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What messages of this call carry: channel and transaction id."""
        return self.channel_id, self.transaction.proposal.transaction_id

    # -- collections ---------------------------------------------------------------------------------------------

    def check_read(self, name: str) -> None:
        """Refuse a private read during Init or by a client that may not (rules S-34, S-37)."""
        if not self._permitted(name)[0]:
            raise SimulationError(self._no_access("read", name))

    def check_write(self, name: str) -> None:
        """Refuse a private write during Init or by a client that may not (rules S-34, S-37)."""
        if not self._permitted(name)[1]:
            raise SimulationError(self._no_access("write", name))

    def check_not_init(self) -> None:
        """Refuse private data during Init (rule S-37)."""
        if self.is_init:
            raise SimulationError("private data APIs are not allowed in chaincode Init()")

    def _permitted(self, name: str) -> tuple[bool, bool]:
        self.check_not_init()
        known = self._permissions.get(name)
        if known is None:
            known = self._permissions[name] = self._evaluate_permission(name)
        return known

    def _evaluate_permission(self, name: str) -> tuple[bool, bool]:
        simulator = self.simulator
        simulator.read_definition(self.chaincode)
        try:
            found = collection(simulator.snapshot, simulator.config, self.chaincode, name)
        except UnusableDefinitionError as error:
            raise SimulationError(f"collection {self.channel_id}/{self.chaincode}/{name} could not be found") from error
        try:
            found.member_policy.evaluate_identities([self.transaction.creator])
        except PolicyNotSatisfied:
            return not found.member_only_read, not found.member_only_write
        return True, True

    def _no_access(self, kind: str, name: str) -> str:
        return (
            f"tx creator does not have {kind} access permission on privatedata "
            f"in chaincodeName:{self.chaincode} collectionName: {name}"
        )

    # -- open queries --------------------------------------------------------------------------------------------

    def open_query(self, rows: Iterator[bytes]) -> bytes:
        """Answer the first batch and keep the iterator if there is more."""
        identifier = self.next_query_id()
        results = Results(identifier, rows, self.query_limit)
        answer, more = results.next_batch()
        if more:
            self._queries[identifier] = results
        return answer

    def next_query_id(self) -> str:
        """An identifier that no other query of this call has."""
        self._query_count += 1
        return f"{self.transaction.proposal.transaction_id}-{self._query_count}"

    def continue_query(self, identifier: str) -> bytes:
        """Answer the next batch; raises SimulationError when the iterator is not open (any more)."""
        results = self._queries.get(identifier)
        if results is None:
            raise SimulationError("query iterator not found")
        answer, more = results.next_batch()
        if not more:
            del self._queries[identifier]
        return answer

    def close_query(self, identifier: str) -> bytes:
        """Forget an iterator; always succeeds."""
        self._queries.pop(identifier, None)
        return bytes(chaincode_shim_pb2.QueryResponse(has_more=False, id=identifier).SerializeToString())


# -- answers to requests, by message type; each takes the invocation and the request's payload -------------------------


def _get_state(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetState.FromString(payload)
    if not request.collection:
        return call.simulator.get(call.chaincode, request.key)
    call.check_read(request.collection)
    return call.simulator.get_private(call.chaincode, request.collection, request.key)


def _get_state_multiple(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateMultiple.FromString(payload)
    if request.collection:
        call.check_read(request.collection)
        values = call.simulator.get_private_many(call.chaincode, request.collection, request.keys)
    else:
        values = [call.simulator.get(call.chaincode, key) for key in request.keys]
    return bytes(chaincode_shim_pb2.GetStateMultipleResult(values=values).SerializeToString())


def _get_private_data_hash(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetState.FromString(payload)
    call.check_not_init()
    return call.simulator.get_private_hash(call.chaincode, request.collection, request.key)


def _get_state_metadata(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateMetadata.FromString(payload)
    _check_capability(call, "V1_3", "key level endorsement is not enabled, channel application capability of V1_3")
    if request.collection:
        call.check_read(request.collection)
        metadata = call.simulator.private_metadata(call.chaincode, request.collection, request.key)
    else:
        metadata = call.simulator.metadata(call.chaincode, request.key)
    entries = [chaincode_shim_pb2.StateMetadata(metakey=name, value=metadata[name]) for name in metadata]
    return bytes(chaincode_shim_pb2.StateMetadataResult(entries=entries).SerializeToString())


def _put_state(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.PutState.FromString(payload)
    return _put(call, request.collection, request.key, request.value)


def _del_state(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.DelState.FromString(payload)
    return _put(call, request.collection, request.key, None)


def _put(call: Invocation, coll: str, key: str, value: bytes | None) -> bytes:
    if coll:
        call.check_write(coll)
        call.simulator.put_private(call.chaincode, coll, key, value)
    else:
        call.simulator.put(call.chaincode, key, value)
    return b""


def _purge_private_data(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.PurgePrivateState.FromString(payload)
    return _purge(call, request.collection, request.key)


def _purge(call: Invocation, coll: str, key: str) -> bytes:
    _check_capability(call, "V2_5", "purge private data is not enabled, channel application capability of V2_5")
    if not coll:
        raise SimulationError("only applicable for private data")
    call.check_write(coll)
    call.simulator.put_private(call.chaincode, coll, key, None, purge=True)
    return b""


def _put_state_metadata(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.PutStateMetadata.FromString(payload)
    return _put_metadata(call, request.collection, request.key, request.metadata)


def _put_metadata(call: Invocation, coll: str, key: str, metadata: Any) -> bytes:
    _check_capability(call, "V1_3", "key level endorsement is not enabled, channel application capability of V1_3")
    entries = {metadata.metakey: metadata.value}
    if coll:
        call.check_write(coll)
        call.simulator.put_private_metadata(call.chaincode, coll, key, entries)
    else:
        call.simulator.put_metadata(call.chaincode, key, entries)
    return b""


def _write_batch(call: Invocation, payload: bytes) -> bytes:
    """Records apply in order; the first failure stops, what went before stays (rule S-43)."""
    kinds = chaincode_shim_pb2.WriteRecord
    for record in chaincode_shim_pb2.WriteBatchState.FromString(payload).rec:
        if record.type == kinds.PUT_STATE:
            _put(call, record.collection, record.key, record.value)
        elif record.type == kinds.DEL_STATE:
            _put(call, record.collection, record.key, None)
        elif record.type == kinds.PURGE_PRIVATE_DATA:
            _purge(call, record.collection, record.key)
        elif record.type == kinds.PUT_STATE_METADATA:
            _put_metadata(call, record.collection, record.key, record.metadata)
        else:
            raise SimulationError(f"unknown operation type {record.type}")
    return b""


def _get_state_by_range(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateByRange.FromString(payload)
    simulator, namespace = call.simulator, call.chaincode
    if request.collection:
        call.check_read(request.collection)
        rows = simulator.range_private(namespace, request.collection, request.startKey, request.endKey)
        return call.open_query(_key_values(namespace, rows))
    metadata = chaincode_shim_pb2.QueryMetadata.FromString(request.metadata)
    if not _is_paginated(metadata):
        scan = simulator.range(namespace, request.startKey, request.endKey)
        return call.open_query(_key_values(namespace, scan))
    start = metadata.bookmark or request.startKey
    scan = simulator.range(namespace, start, request.endKey, paginated=True)
    size = min(metadata.pageSize, call.query_limit) if metadata.pageSize > 0 else call.query_limit
    return page(_key_values(namespace, scan), scan.bookmark, call.next_query_id(), size)


def _get_query_result(call: Invocation, payload: bytes) -> bytes:
    """Rich queries need a document database, which this node does not offer: it answers as LevelDB does (S-29)."""
    request = chaincode_shim_pb2.GetQueryResult.FromString(payload)
    if request.collection:
        call.check_read(request.collection)
        call.simulator.before_private_query()
    elif _is_paginated(chaincode_shim_pb2.QueryMetadata.FromString(request.metadata)):
        call.simulator.before_page()
        raise SimulationError("ExecuteQueryWithMetadata not supported for leveldb")
    raise SimulationError("ExecuteQuery not supported for leveldb")


def _get_history(call: Invocation, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetHistoryForKey.FromString(payload)
    changes = call.simulator.history(call.chaincode, request.key)
    return call.open_query(_encode_change(change) for change in changes)


def _query_state_next(call: Invocation, payload: bytes) -> bytes:
    return call.continue_query(chaincode_shim_pb2.QueryStateNext.FromString(payload).id)


def _query_state_close(call: Invocation, payload: bytes) -> bytes:
    return call.close_query(chaincode_shim_pb2.QueryStateClose.FromString(payload).id)


def _is_paginated(metadata: Any) -> bool:
    return bool(metadata.pageSize != 0 or metadata.bookmark)


def _key_values(namespace: str, rows: Iterator[tuple[str, bytes]]) -> Iterator[bytes]:
    kv = kv_query_result_pb2.KV
    return (kv(namespace=namespace, key=key, value=value).SerializeToString() for key, value in rows)


def _encode_change(change: Any) -> bytes:
    encoded = kv_query_result_pb2.KeyModification(
        tx_id=change.transaction_id, value=change.value, timestamp=change.timestamp, is_delete=change.is_delete
    )
    return bytes(encoded.SerializeToString())


def _check_capability(call: Invocation, needed: str, text: str) -> None:
    """Rule S-32: these calls came with later application capabilities."""
    enabled = call.simulator.config.capabilities.application
    if not any(_level(name) >= _level(needed) for name in enabled):
        raise SimulationError(f"{text} or later is required")


def _level(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability[1:].split("_") if part.isdigit())


HANDLERS: dict[int, Callable[[Invocation, bytes], bytes]] = {
    Message.GET_STATE: _get_state,
    Message.GET_STATE_MULTIPLE: _get_state_multiple,
    Message.GET_PRIVATE_DATA_HASH: _get_private_data_hash,
    Message.GET_STATE_METADATA: _get_state_metadata,
    Message.PUT_STATE: _put_state,
    Message.PUT_STATE_METADATA: _put_state_metadata,
    Message.DEL_STATE: _del_state,
    Message.PURGE_PRIVATE_DATA: _purge_private_data,
    Message.WRITE_BATCH_STATE: _write_batch,
    Message.GET_STATE_BY_RANGE: _get_state_by_range,
    Message.GET_QUERY_RESULT: _get_query_result,
    Message.GET_HISTORY_FOR_KEY: _get_history,
    Message.QUERY_STATE_NEXT: _query_state_next,
    Message.QUERY_STATE_CLOSE: _query_state_close,
}
"""All requests but INVOKE_CHAINCODE, which takes time and is the session's."""
