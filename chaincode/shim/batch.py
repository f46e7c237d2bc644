# SPDX-License-Identifier: Apache-2.0
"""Writes gathered so that many travel in one message (rules S-42 and S-43)."""

from collections.abc import Iterator
from typing import Any

from chaincode.shim import wire
from chaincode.shim.wire import MessageType


class WriteBatch:
    """The writes of one transaction that were not yet sent, in order, the last write of a key only.

    A value and the metadata of the same key are separate writes, as they are for the peer.
    """

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str, bool], Any] = {}

    def add(self, kind: MessageType, request: Any) -> None:
        """Keep a write, given as the request that would have carried it alone."""
        record = wire.WriteRecord(type=kind, key=request.key, collection=request.collection)
        is_metadata = kind is MessageType.PUT_STATE_METADATA
        if is_metadata:
            record.metadata.CopyFrom(request.metadata)
        elif kind is MessageType.PUT_STATE:
            record.value = request.value
        place = (request.collection, request.key, is_metadata)
        self._writes.pop(place, None)
        self._writes[place] = record

    def payloads(self, size: int) -> Iterator[bytes]:
        """The payloads of WRITE_BATCH_STATE, each of at most `size` records."""
        records = list(self._writes.values())
        for start in range(0, len(records), size):
            yield wire.WriteBatchState(rec=records[start : start + size]).SerializeToString()
