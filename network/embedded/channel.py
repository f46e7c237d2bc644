# SPDX-License-Identifier: Apache-2.0
"""One channel of the node: ordering, validation and commit in sequence, and the calls that wait for their outcome."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from network.embedded.blockcommit import prepare
from network.embedded.blocks import BlockSigner, last_config, make_block, sign_block
from network.embedded.configtx import config_envelope
from network.embedded.entries import Commit
from network.embedded.orderer import Ordered, Orderer
from network.embedded.store import Store
from network.embedded.transactions import (
    BAD_COMMON_HEADER,
    BAD_CREATOR_SIGNATURE,
    BAD_PAYLOAD,
    BAD_PROPOSAL_TXID,
    INVALID_ENDORSER_TRANSACTION,
    INVALID_OTHER_REASON,
    NIL_ENVELOPE,
    UNSUPPORTED_TX_PAYLOAD,
)
from network.embedded.transient import TransientStore

Nonce = Callable[[], bytes]

_SLICE_S = 0.004
"""How long validation runs before it lets the event loop do other work."""

_UNPROVEN = (
    NIL_ENVELOPE,
    BAD_PAYLOAD,
    BAD_COMMON_HEADER,
    BAD_CREATOR_SIGNATURE,
    INVALID_ENDORSER_TRANSACTION,
    UNSUPPORTED_TX_PAYLOAD,
    BAD_PROPOSAL_TXID,
    INVALID_OTHER_REASON,
)


class ChannelClosed(Exception):
    """The node stops; what was waited for will not come from this process."""


class Notifier:
    """Wakes everyone who waits for a greater height; nobody polls."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._closed = False
        self._event = asyncio.Event()

    def publish(self, height: int) -> None:
        """Announce a new height."""
        self.height = height
        self._wake()

    def close(self) -> None:
        """Let all waiters go with ChannelClosed."""
        self._closed = True
        self._wake()

    async def above(self, number: int) -> None:
        """Return as soon as block `number` can be read; raises ChannelClosed when the node stops first."""
        while self.height <= number:
            if self._closed:
                raise ChannelClosed("the node stops")
            await self._event.wait()

    def _wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()


class Channel:
    """Everything that the services need of one channel. Belongs to the event loop's thread."""

    def __init__(
        self,
        store: Store,
        config: Any,
        signer: BlockSigner,
        transient: TransientStore,
        *,
        nonce: Nonce,
        idle_cut_s: float = 0.0,
        orderers: dict[str, Orderer] | None = None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_failure` hears of whatever makes the ledger unusable; it has to end the process."""
        self.name: str = config.channel_id
        self.store = store
        self.config = config
        self.transient = transient
        self.committed = Notifier(store.height)
        self._signer = signer
        self._nonce = nonce
        self._on_failure = on_failure
        self._batches: asyncio.Queue[list[Ordered]] = asyncio.Queue()
        self._waiters: dict[str, set[asyncio.Future[tuple[int, int]]]] = {}
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"commit-{self.name}")
        self._task: asyncio.Task[None] | None = None
        self._flush: asyncio.Task[None] | None = None
        self._last_config = last_config(store.block(store.height - 1))
        self.orderer = Orderer(
            config, self._batches.put_nowait, self._sign_config, idle_cut_s=idle_cut_s, channels=orderers
        )
        if transient.store is store:
            transient.changed = self._keep_private

    def start(self) -> None:
        """Begin to turn batches into blocks."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"commit-{self.name}")

    async def stop(self) -> None:
        """Commit what was accepted, let all waiters go and close the store."""
        self.orderer.close()
        if self._task is not None and not self._task.done():
            await self._batches.join()
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self.committed.close()
        for future in [future for futures in self._waiters.values() for future in futures]:
            if not future.done():
                future.set_exception(ChannelClosed("the node stops"))
        if self._flush is not None:
            await self._flush
        await asyncio.get_running_loop().run_in_executor(self._executor, self.store.close)
        self._executor.shutdown()

    async def commit_status(self, transaction_id: str) -> tuple[int, int]:
        """Validation code and block number, as soon as the transaction's block is durable (rule G-25)."""
        place = self.store.by_transaction(transaction_id)
        if place is not None:
            return place.code, place.block_number
        future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(transaction_id, set()).add(future)
        try:
            return await future
        finally:
            waiting = self._waiters.get(transaction_id)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiters[transaction_id]

    async def blocks(self, start: int) -> AsyncIterator[Any]:
        """Committed blocks from number `start` on, ascending without gaps; waits at the tip for ever."""
        number = start
        while True:
            await self.committed.above(number)
            yield self.store.block(number)
            number += 1

    # -- committing ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                batch = await self._batches.get()
                await self._commit(batch)
                self._batches.task_done()
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            self._on_failure(exc)
            raise

    async def _commit(self, batch: list[Ordered]) -> None:
        block = make_block(self.store.height, self.store.tip_hash, [message.raw for message in batch])
        index = self.store.height if batch[0].configures else self._last_config
        sign_block(block, self._signer, self._nonce(), index)
        verified = {index for index, message in enumerate(batch) if message.creator_verified}
        before = self.config
        await self.commit_block(block, verified)
        self._last_config = index
        if batch[0].configures:
            if self.config is before:
                raise RuntimeError(f"the configuration in block {index} was ordered and is not valid")
            self.orderer.applied(self.config)
        self.orderer.committed(batch)

    def _sign_config(self, channel_id: str, proposed: Any) -> Any:
        return config_envelope(channel_id, proposed, self._signer, self._nonce(), datetime.now(UTC))

    async def commit_block(self, block: Any, verified: set[int]) -> None:
        """Validate a block and make it a durable and visible part of the ledger."""
        loop = asyncio.get_running_loop()
        steps = prepare(self.store, self.config, self.transient, block, verified)
        pause = loop.time() + _SLICE_S
        while True:
            try:
                next(steps)
            except StopIteration as done:
                commit: Commit = done.value
                break
            if loop.time() >= pause:  # a block of 500 would otherwise hold up everyone for a third of a second
                await asyncio.sleep(0)
                pause = loop.time() + _SLICE_S
        self.store.begin(commit)
        await loop.run_in_executor(self._executor, self.store.write, commit)
        self.store.publish(commit)
        if commit.config is not None:  # before anyone is woken: what comes next is judged by it (rule V-34)
            self.config = commit.config
        self._announce(commit)

    def _announce(self, commit: Commit) -> None:
        # Before the signature and the transaction id are known to be good, anyone may have named any id.
        self.transient.drop([txid for txid, code, _ in commit.transactions if code not in _UNPROVEN])
        for transaction_id, code, _ in commit.transactions:
            for future in self._waiters.get(transaction_id, ()):
                if not future.done():
                    future.set_result((code, commit.number))
        self.committed.publish(self.store.height)

    def _keep_private(self) -> None:
        """Write private results of proposals to the disk soon; one group at a time."""
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flush_transient())

    async def _flush_transient(self) -> None:
        try:
            while self.transient.dirty:
                flush = self.transient.flush()
                await asyncio.get_running_loop().run_in_executor(self._executor, flush.write)
                self.transient.flushed(flush)
        except Exception as exc:
            self._on_failure(exc)
        finally:
            self._flush = None
