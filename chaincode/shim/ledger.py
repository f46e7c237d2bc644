# SPDX-License-Identifier: Apache-2.0
"""The requests that a transaction can make of its peer; an empty collection means the public state (rule S-10)."""

from collections.abc import Sequence
from typing import Any

from chaincode.shim import policy as policies
from chaincode.shim import wire
from chaincode.shim.batch import WriteBatch
from chaincode.shim.errors import PeerError, ProtocolError
from chaincode.shim.protocol import Offer
from chaincode.shim.results import KV, Ask, KeyModification, Page, Results, read_kv, read_modification, read_page
from chaincode.shim.wire import MessageType

_VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
"""The metadata entry under which the ledger keeps a key's endorsement policy."""

_LARGEST_PAGE = 2**31 - 1


class Ledger:
    """One transaction's view of the ledger.

    Reads show the committed state only, never this transaction's writes. Writes go to the peer one by
    one, or together once a batch is started and the peer offers batches.
    """

    def __init__(self, ask: Ask, offer: Offer) -> None:
        self._ask = ask
        self._offer = offer
        self._batch: WriteBatch | None = None

    def get(self, collection: str, key: str) -> bytes | None:
        payload = wire.GetState(key=key, collection=collection).SerializeToString()
        return self._ask(MessageType.GET_STATE, payload) or None

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Values in the order of the keys; in few messages when the peer offers that."""
        size = self._offer.get_multiple
        if not size:
            return [self.get("", key) for key in keys]
        values: list[bytes | None] = []
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            answer = self._ask(MessageType.GET_STATE_MULTIPLE, wire.GetStateMultiple(keys=part).SerializeToString())
            found = wire.decode(wire.GetStateMultipleResult, answer).values
            if len(found) != len(part):
                raise ProtocolError(f"the peer answered {len(found)} values for {len(part)} keys")
            values.extend(value or None for value in found)
        return values

    def get_hash(self, collection: str, key: str) -> bytes | None:
        payload = wire.GetState(key=_filled(key), collection=_named(collection)).SerializeToString()
        return self._ask(MessageType.GET_PRIVATE_DATA_HASH, payload) or None

    def put(self, collection: str, key: str, value: bytes) -> None:
        if not isinstance(value, bytes):
            raise TypeError("a value is bytes")
        request = wire.PutState(key=_filled(key), value=value, collection=collection)
        self._write(MessageType.PUT_STATE, request)

    def delete(self, collection: str, key: str) -> None:
        self._write(MessageType.DEL_STATE, wire.DelState(key=_filled(key), collection=collection))

    def purge(self, collection: str, key: str) -> None:
        request = wire.DelState(key=_filled(key), collection=_named(collection))
        self._write(MessageType.PURGE_PRIVATE_DATA, request)

    def set_policy(self, collection: str, key: str, policy: bytes | str) -> None:
        """Set a key's endorsement policy, given compiled or as an expression; it replaces all metadata of the key."""
        compiled = policies.compile_expression(policy) if isinstance(policy, str) else policy
        metadata = wire.StateMetadata(metakey=_VALIDATION_PARAMETER, value=compiled)
        request = wire.PutStateMetadata(key=_filled(key), collection=collection, metadata=metadata)
        self._write(MessageType.PUT_STATE_METADATA, request)

    def get_policy(self, collection: str, key: str) -> bytes | None:
        payload = wire.GetStateMetadata(key=_filled(key), collection=collection).SerializeToString()
        answer = self._ask(MessageType.GET_STATE_METADATA, payload)
        for entry in wire.decode(wire.StateMetadataResult, answer).entries:
            if entry.metakey == _VALIDATION_PARAMETER:
                return bytes(entry.value)
        return None

    def range(self, collection: str, start: str, end: str) -> Results[KV]:
        response = self._range(collection, start, end, b"")
        return Results(self._ask, response, read_kv)

    def range_page(self, start: str, end: str, size: int, bookmark: str) -> Page:
        return read_page(self._range("", start, end, _page(size, bookmark)))

    def query(self, collection: str, text: str) -> Results[KV]:
        return Results(self._ask, self._query(collection, text, b""), read_kv)

    def query_page(self, text: str, size: int, bookmark: str) -> Page:
        return read_page(self._query("", text, _page(size, bookmark)))

    def history(self, key: str) -> Results[KeyModification]:
        payload = wire.GetHistoryForKey(key=_filled(key)).SerializeToString()
        response = wire.decode(wire.QueryResponse, self._ask(MessageType.GET_HISTORY_FOR_KEY, payload))
        return Results(self._ask, response, read_modification)

    def invoke(self, name: str, args: Sequence[bytes]) -> Any:
        """Call another chaincode and answer its `Response` message.

        Raises:
            PeerError: when the call was refused or the callee answered with an ERROR.
        """
        spec = wire.ChaincodeSpec(chaincode_id={"name": name}, input={"args": args})
        answer = self._ask(MessageType.INVOKE_CHAINCODE, spec.SerializeToString())
        inner = wire.decode(wire.ChaincodeMessage, answer)
        if inner.type != MessageType.COMPLETED:
            raise PeerError(MessageType.INVOKE_CHAINCODE.name, inner.payload.decode(errors="replace"))
        return wire.decode(wire.ResponseMessage, inner.payload)

    def start_batch(self) -> None:
        """Gather writes from here on, where the peer offers it; otherwise nothing changes."""
        if self._offer.write_batch and self._batch is None:
            self._batch = WriteBatch()

    def flush(self) -> None:
        """Send what was gathered and write one by one again."""
        batch, self._batch = self._batch, None
        if batch is not None:
            for payload in batch.payloads(self._offer.write_batch):
                self._ask(MessageType.WRITE_BATCH_STATE, payload)

    def _write(self, kind: MessageType, request: Any) -> None:
        if self._batch is None:
            self._ask(kind, request.SerializeToString())
        else:
            self._batch.add(kind, request)

    def _range(self, collection: str, start: str, end: str, metadata: bytes) -> Any:
        request = wire.GetStateByRange(startKey=start, endKey=end, collection=collection, metadata=metadata)
        return wire.decode(wire.QueryResponse, self._ask(MessageType.GET_STATE_BY_RANGE, request.SerializeToString()))

    def _query(self, collection: str, text: str, metadata: bytes) -> Any:
        request = wire.GetQueryResult(query=text, collection=collection, metadata=metadata)
        return wire.decode(wire.QueryResponse, self._ask(MessageType.GET_QUERY_RESULT, request.SerializeToString()))


def _filled(key: str) -> str:
    if key == "":
        raise ValueError("a key is not an empty string")
    return key


def _named(collection: str) -> str:
    if collection == "":
        raise ValueError("a collection is not an empty string")
    return collection


def _page(size: int, bookmark: str) -> bytes:
    if not 1 <= size <= _LARGEST_PAGE:
        raise ValueError(f"a page holds between 1 and {_LARGEST_PAGE} results")
    return bytes(wire.QueryMetadata(pageSize=size, bookmark=bookmark).SerializeToString())
