# SPDX-License-Identifier: Apache-2.0
"""A channel: its contracts and its events."""

from __future__ import annotations

from typing import Any

from gateway.fabric import requests
from gateway.fabric.checkpoint import Checkpoint
from gateway.fabric.contract import Contract
from gateway.fabric.requests import BlockEventsRequest, BlockKind, ChaincodeEventsRequest
from gateway.fabric.session import Session
from gateway.fabric.streams import ChaincodeEvent, EventStream

__all__ = ["Network"]


class Network:
    """One channel as seen through the gateway's peer; thread-safe.

    Every stream begins at the `checkpoint` if that holds a position, else at `start_block`, else with the next block
    to be committed. `stop_block` is the last block wanted; without it a stream lasts until it is closed. A caller that
    kept the header hash of the last block it dealt with gives it as `previous_hash`, so that a resumed stream cannot be
    of another chain.
    """

    __slots__ = ("_session", "name")

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name

    def contract(self, chaincode_name: str, contract_name: str | None = None) -> Contract:
        """A chaincode, or the contract of this name in it."""
        return Contract(self._session, self.name, chaincode_name, contract_name)

    def check_genesis(self, timeout: float | None = 30.0) -> None:
        """Fetches block 0 and compares it with the pinned one.

        Raises `UntrustedResponse` when it is another, `ValueError` when nothing was pinned.
        """
        if self._session.trust is None:
            raise ValueError("no genesis block hash was pinned")
        with self.new_block_events_request(start_block=0, stop_block=0).events(timeout) as blocks:
            next(blocks)

    def height(self, timeout: float | None = 5.0) -> int:
        """How many blocks this very peer holds.

        Asked of its Deliver service: that takes none of the Gateway service's few places, and no other peer of the
        organisation answers in its stead, as happens with a query. Raises `GatewayError`.
        """
        with BlockEventsRequest.newest(self._session, requests.FILTERED_BLOCKS, self.name).events(timeout) as blocks:
            number: int = next(blocks).number
        return number + 1

    def chaincode_events(
        self, chaincode_name: str, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> EventStream[ChaincodeEvent]:
        """Opens a stream of the events that valid transactions of a chaincode emit.

        From a checkpoint that names a transaction, the events after it; all of its block's when it emitted none.
        """
        return self.new_chaincode_events_request(
            chaincode_name, start_block=start_block, checkpoint=checkpoint
        ).events()

    def new_chaincode_events_request(
        self, chaincode_name: str, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> ChaincodeEventsRequest:
        """The request of `chaincode_events`, to be signed elsewhere."""
        return ChaincodeEventsRequest.build(self._session, self.name, chaincode_name, start_block, checkpoint)

    def block_events(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
        previous_hash: bytes | None = None,
    ) -> EventStream[Any]:
        """Opens a stream of `common.Block`, each intact and following on the last; see `blocks.decode_block`."""
        return self.new_block_events_request(
            start_block=start_block, stop_block=stop_block, checkpoint=checkpoint
        ).events(previous_hash=previous_hash)

    def new_block_events_request(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> BlockEventsRequest:
        """The request of `block_events`, to be signed elsewhere."""
        return self._blocks(requests.BLOCKS, start_block, stop_block, checkpoint)

    def filtered_block_events(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> EventStream[Any]:
        """Opens a stream of `FilteredBlock`: ids, validation codes and event names, also of invalid transactions."""
        return self.new_filtered_block_events_request(
            start_block=start_block, stop_block=stop_block, checkpoint=checkpoint
        ).events()

    def new_filtered_block_events_request(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> BlockEventsRequest:
        """The request of `filtered_block_events`, to be signed elsewhere."""
        return self._blocks(requests.FILTERED_BLOCKS, start_block, stop_block, checkpoint)

    def block_and_private_data_events(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
        previous_hash: bytes | None = None,
    ) -> EventStream[Any]:
        """Opens a stream of `BlockAndPrivateData`: blocks with the private data that this peer holds and may show."""
        return self.new_block_and_private_data_events_request(
            start_block=start_block, stop_block=stop_block, checkpoint=checkpoint
        ).events(previous_hash=previous_hash)

    def new_block_and_private_data_events_request(
        self,
        *,
        start_block: int | None = None,
        stop_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> BlockEventsRequest:
        """The request of `block_and_private_data_events`, to be signed elsewhere."""
        return self._blocks(requests.BLOCKS_AND_PRIVATE_DATA, start_block, stop_block, checkpoint)

    def _blocks(
        self, kind: BlockKind, start_block: int | None, stop_block: int | None, checkpoint: Checkpoint | None
    ) -> BlockEventsRequest:
        return BlockEventsRequest.build(self._session, kind, self.name, start_block, stop_block, checkpoint)
