# SPDX-License-Identifier: Apache-2.0
"""Results of queries, fetched from the peer batch by batch as they are read (rules S-25 and S-27)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeVar

from chaincode.shim import wire
from chaincode.shim.proposal import as_datetime
from chaincode.shim.wire import MessageType

Ask = Callable[[MessageType, bytes], bytes]
"""Sends one request of a transaction and waits for its answer."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KV:
    """A key and its value in a chaincode's namespace."""

    namespace: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class KeyModification:
    """One change of a key; `value` is `None` where the change removed it."""

    transaction_id: str
    value: bytes | None
    timestamp: datetime
    is_delete: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results; an empty `bookmark` says that the range is exhausted."""

    items: tuple[KV, ...]
    fetched: int
    bookmark: str


class Results(Generic[T]):
    """An iterator over a query's results that is also a context manager.

    The peer drops a query when it is read to its end; leaving earlier closes it, once.
    """

    def __init__(self, ask: Ask, response: Any, decode: Callable[[bytes], T]) -> None:
        self._ask = ask
        self._decode = decode
        self._batch: list[Any] = []
        self._position = 0
        self._has_more = False
        self._id = ""
        self._take(response)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while self._position == len(self._batch):
            if not self._has_more:
                raise StopIteration
            payload = wire.QueryStateNext(id=self._id).SerializeToString()
            self._take(wire.decode(wire.QueryResponse, self._ask(MessageType.QUERY_STATE_NEXT, payload)))
        item = self._batch[self._position]
        self._position += 1
        return self._decode(item.resultBytes)

    def __enter__(self) -> "Results[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Tell the peer that the rest is not wanted; nothing happens when there is no rest."""
        self._batch, self._position = [], 0
        if self._has_more:
            self._has_more = False
            self._ask(MessageType.QUERY_STATE_CLOSE, wire.QueryStateClose(id=self._id).SerializeToString())

    def _take(self, response: Any) -> None:
        self._batch = list(response.results)
        self._position = 0
        self._has_more = bool(response.has_more)
        self._id = str(response.id)


def read_kv(data: bytes) -> KV:
    """Decode one result of a range or rich query."""
    entry = wire.decode(wire.KeyValue, data)
    return KV(entry.namespace, entry.key, entry.value)


def read_modification(data: bytes) -> KeyModification:
    """Decode one result of a history query."""
    change = wire.decode(wire.KeyChange, data)
    value = None if change.is_delete else change.value
    return KeyModification(change.tx_id, value, as_datetime(change.timestamp), change.is_delete)


def read_page(response: Any) -> Page:
    """Decode the only batch of a paginated query with its metadata."""
    metadata = wire.decode(wire.QueryResponseMetadata, response.metadata)
    items = tuple(read_kv(result.resultBytes) for result in response.results)
    return Page(items, metadata.fetched_records_count, metadata.bookmark)
