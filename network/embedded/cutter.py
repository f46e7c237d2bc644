# SPDX-License-Identifier: Apache-2.0
"""When a batch is full: by count and by bytes (rules O-8 and O-10). Time is the orderer's business."""

from typing import Generic, TypeVar

T = TypeVar("T")


class BlockCutter(Generic[T]):
    """Messages that wait for a block, in the order of acceptance; nothing is ever reordered or dropped (rule O-12)."""

    def __init__(self, max_count: int, preferred_max_bytes: int) -> None:
        self._max_count = max_count
        self._preferred = preferred_max_bytes
        self._pending: list[T] = []
        self._bytes = 0

    @property
    def pending(self) -> int:
        """How many messages wait."""
        return len(self._pending)

    def add(self, message: T, size: int) -> list[list[T]]:
        """Accept a message of `size` bytes (payload and signature) and answer the batches that this completes."""
        batches: list[list[T]] = []
        if size > self._preferred:
            if self._pending:
                batches.append(self.cut())
            return [*batches, [message]]
        if self._bytes + size > self._preferred:
            batches.append(self.cut())
        self._pending.append(message)
        self._bytes += size
        if len(self._pending) >= self._max_count:
            batches.append(self.cut())
        return batches

    def add_config(self, message: T) -> list[list[T]]:
        """A configuration is in a block of its own, behind what waited (rule O-10)."""
        return [*([self.cut()] if self._pending else []), [message]]

    def cut(self) -> list[T]:
        """Take out what waits; empty when nothing does."""
        batch, self._pending, self._bytes = self._pending, [], 0
        return batch
