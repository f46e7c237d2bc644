# SPDX-License-Identifier: Apache-2.0
"""Transactions with all that shows them to somebody who has no ledger, gathered from blocks.

Two chains are followed backwards. Orderers sign with each block in which block the configuration in force is: so each
configuration leads to the one before it, down to the channel's first block. And endorsers name the transaction that
defined the chaincode that they ran (rule R-9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.fabric.blockdata import configured_by, split_envelopes
from gateway.fabric.blocks import Transaction, decode_block, validation_code_name
from gateway.fabric.errors import MalformedData
from gateway.services.ports import BlockBytes, EvidenceTooLarge, LedgerMisuse, OrderedTransaction

__all__ = ["OrderedReader"]

_LIFECYCLE = "_lifecycle"
_FIELDS = "namespaces/fields"
_LARGEST = 16 * 1024 * 1024 - 8_192
"""Bytes of all blocks in a file; the rest is for what stands around them."""
_KEPT = 64
"""Configurations that are kept in memory."""


class OrderedReader:
    """Gathers evidence of transactions; thread-safe.

    Args:
        fetch: a `common.Block` by its number; what it raises is passed on.
    """

    def __init__(self, fetch: Callable[[int], Any], chaincode: str) -> None:
        self._fetch = fetch
        self._chaincode = chaincode
        self._configurations: dict[int, tuple[BlockBytes, int]] = {}
        """By its number a block with a configuration, and the number of the one with the configuration before it."""

    def of(self, transaction_id: str, number: int) -> OrderedTransaction | None:
        """A transaction of a block; `None` where the block has none of that id.

        Raises `EvidenceTooLarge`, and `LedgerMisuse` for blocks that lead nowhere.
        """
        message = self._fetch(number)
        transactions = [each for each in decode_block(message).transactions if each.transaction_id == transaction_id]
        if not transactions:
            return None
        found = next((each for each in transactions if each.valid), transactions[0])
        budget = _Budget(number)
        try:
            block = budget.of(message)
            return OrderedTransaction(
                block=block,
                index=found.index,
                validation=validation_code_name(found.validation_code),
                configurations=tuple(reversed(list(self._configured(configured_by(message), budget)))),
                definitions=tuple(self._defined(found, budget)),
            )
        except MalformedData as exc:
            raise LedgerMisuse(f"block {number} cannot be shown: {exc}") from exc

    def _configured(self, number: int, budget: _Budget) -> Iterator[BlockBytes]:
        """The configurations from that of a block back to the channel's first."""
        while True:
            block, before = self._configuration(number)
            budget.take(block)
            yield block
            if number == 0:
                return
            if before >= number:
                raise MalformedData(f"the configuration before block {number} is that of block {before}")
            number = before

    def _configuration(self, number: int) -> tuple[BlockBytes, int]:
        known = self._configurations.get(number)
        if known is None:
            # The block before one with a configuration was ordered under the configuration before.
            before = configured_by(self._fetch(number - 1)) if number > 1 else 0
            known = _bytes_of(self._fetch(number)), before
            if len(self._configurations) < _KEPT:
                self._configurations[number] = known
        return known

    def _defined(self, transaction: Transaction, budget: _Budget) -> Iterator[tuple[BlockBytes, int]]:
        """The transactions that define the chaincode as the endorsers ran it."""
        place = self._read(transaction, "Sequence")
        for _ in range(2):
            if place is None:
                return
            message = self._fetch(place[0])
            entries = decode_block(message).transactions
            if place[1] >= len(entries):
                raise MalformedData(f"block {place[0]} has no transaction {place[1]}")
            yield budget.of(message), place[1]
            defining = entries[place[1]]
            if any(
                write.key == f"{_FIELDS}/{self._chaincode}/ValidationInfo"
                for namespace in defining.namespaces
                for write in namespace.writes
                if namespace.namespace == _LIFECYCLE
            ):
                return
            place = self._read(defining, "ValidationInfo")

    def _read(self, transaction: Transaction, field: str) -> tuple[int, int] | None:
        """Where a field of the chaincode's definition was written last, as the endorsers read it."""
        key = f"{_FIELDS}/{self._chaincode}/{field}"
        for namespace in transaction.namespaces:
            for read in namespace.reads if namespace.namespace == _LIFECYCLE else ():
                if read.key == key and read.version is not None:
                    return read.version.block_number, read.version.transaction_index
        return None


class _Budget:
    """What a file has room for."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._left = _LARGEST

    def of(self, message: Any) -> BlockBytes:
        """A block in bytes, if there is room for it; raises `EvidenceTooLarge`."""
        return self.take(_bytes_of(message))

    def take(self, block: BlockBytes) -> BlockBytes:
        """The same block, once there is room for it."""
        self._left -= block.size
        if self._left < 0:
            raise EvidenceTooLarge(self._block)
        return block


def _bytes_of(message: Any) -> BlockBytes:
    """What is the same at every peer; raises `MalformedData` where the data cannot be cut as they were put together."""
    entries, slots = list(message.data.data), message.metadata.metadata
    data = b"".join(entries)
    if split_envelopes(data) != entries:
        raise MalformedData(f"block {message.header.number} holds an envelope that peers write otherwise")
    header = message.header
    return BlockBytes(header.number, header.previous_hash.hex(), data, slots[0] if slots else b"")
