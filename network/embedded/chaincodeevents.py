# SPDX-License-Identifier: Apache-2.0
"""Chaincode events out of committed blocks, and the clients' filters over them (rules G-28, G-29)."""

from collections.abc import Sequence
from typing import Any

from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import chaincode_event_pb2

from network.embedded.blocks import flags_of
from network.embedded.transactions import ENDORSER_TRANSACTION, VALID, parse

__all__ = ["BlockEvents", "EventFilter", "Events", "start_block"]

Events = tuple[chaincode_event_pb2.ChaincodeEvent, ...]

_REMEMBERED_BLOCKS = 64


class EventFilter:
    """One stream's choice of events; it remembers whether the checkpoint has been passed."""

    def __init__(self, chaincode: str, after_transaction_id: str) -> None:
        self._chaincode = chaincode
        self._after = after_transaction_id

    def select(self, events: Sequence[chaincode_event_pb2.ChaincodeEvent]) -> Events:
        """The events to send; until that of the checkpoint's transaction, of whatever chaincode, there are none."""
        chosen = []
        for event in events:
            if self._after:
                if event.tx_id == self._after:
                    self._after = ""
            elif event.chaincode_id == self._chaincode:
                chosen.append(event)
        return tuple(chosen)


class BlockEvents:
    """The events of blocks; those just read are remembered, because many streams read the same ones."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, int], Events] = {}

    def of(self, channel_id: str, block: Any) -> Events:
        """The events of a block's valid transactions, in order."""
        key = (channel_id, int(block.header.number))
        if key not in self._remembered:
            self._remembered[key] = tuple(_events(block))
            if len(self._remembered) > _REMEMBERED_BLOCKS:
                del self._remembered[next(iter(self._remembered))]
        return self._remembered[key]


def start_block(store: Any, asked: gateway_pb2.ChaincodeEventsRequest) -> int:
    """Where a stream begins (G-28); raises `ValueError` with the text for the client."""
    if asked.after_transaction_id:
        found = store.by_transaction(asked.after_transaction_id)
        if found is not None:
            return int(found.block_number)
    if not asked.HasField("start_position"):
        return int(store.height)
    position = asked.start_position
    match position.WhichOneof("Type"):
        case None | "next_commit":
            return int(store.height)
        case "specified":
            return int(position.specified.number)
        case kind:
            raise ValueError(f"invalid start position type: {kind}")


def _events(block: Any) -> list[chaincode_event_pb2.ChaincodeEvent]:
    found = []
    for raw, flag in zip(block.data.data, flags_of(block), strict=True):
        if flag == VALID:
            parsed = parse(raw)
            if parsed.type == ENDORSER_TRANSACTION and parsed.event is not None and parsed.event.event_name:
                found.append(parsed.event)
    return found
