# SPDX-License-Identifier: Apache-2.0
"""The one stream of committed blocks, from whichever peer of the organisation is in use, in the gateway's own terms.

A stream begins where the reader is and must follow on the very block that it read last, from any peer: a
peer that shows another chain, or blocks that the ordering service did not sign, is never used again. Nothing is
accepted unseen: a broken stream raises, and the reader asks again from its own position, so that no block is missed and
none comes twice. Who is a member changes with the blocks; the reader keeps the configuration beside its position.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import Any, NoReturn, Protocol, TypeVar

from chaincode.domain import canonical, codec
from chaincode.domain.batch import OUTCOMES
from chaincode.domain.idempotency import Idempotency
from gateway.delivery.deeds import deed_of
from gateway.delivery.ordered import OrderedReader
from gateway.delivery.peererrors import key_unavailable
from gateway.delivery.peers import Peer, PeerConnection, Peers
from gateway.delivery.refusals import parse_object
from gateway.fabric import Block, FabricError, GatewayError, KeyUnavailable, decode_block
from gateway.fabric.blocks import Transaction, config_in
from gateway.fabric.errors import DeliverError, NotUnderstood
from gateway.services.ports import (
    REQUESTS_APART,
    Json,
    LedgerBlock,
    LedgerMisuse,
    LedgerTransaction,
    LedgerWrite,
    OrderedTransaction,
    Unavailable,
)
from gateway.tlog.entries import Entry

_LOG = logging.getLogger(__name__)
_TIP_WITHIN = 3.0
_BLOCK_WITHIN = 10.0
_NOT_FOUND = 404
_Taken = TypeVar("_Taken")
# Every recording leaves one such entry for the chaincode to read; nobody asks a gateway for it.
_OF_THE_CHAINCODE_ALONE = f"\x00{codec.kind_of(Idempotency)}\x00"


class Judge(Protocol):
    """Who says whether a block is what the channel's orderers ordered; see `gateway.fabric.following.Follower`."""

    def resume(self, height: int, config: bytes | None) -> None: ...

    def check(self, message: Any, block: Block) -> bytes | None: ...


class FabricBlocks:
    """Implements `services.ports.BlockSource` on the Deliver service of the peer in use."""

    def __init__(self, peers: Peers, chaincode: str, judge: Judge) -> None:
        self._peers = peers
        self._chaincode = chaincode
        self._judge = judge
        self._lock = threading.Lock()
        self._open: tuple[Peer, Any] | None = None
        self._evidence = OrderedReader(lambda number: self._one(number, lambda block: block), chaincode)
        peers.when_left(self._left)

    def tip(self) -> int | None:
        peer = self._peers.choose()
        connection = peer.connect()
        try:
            height = connection.network.height(_TIP_WITHIN)
        except (FabricError, ValueError) as exc:
            self._fail(peer, connection, exc)
        self._peers.told(peer, height)
        return self._peers.known_height

    def command(self, transaction_id: str, block: int) -> str | None:
        for transaction in self._one(block, decode_block).transactions:
            if transaction.transaction_id == transaction_id and len(transaction.arguments) > 1:
                return transaction.arguments[1].decode("utf-8", "replace")
        return None

    def ordered(self, transaction_id: str, block: int) -> OrderedTransaction | None:
        return self._evidence.of(transaction_id, block)

    def _one(self, number: int, take: Callable[[Any], _Taken]) -> _Taken:
        """What is taken of a block that the ledger has, from the peer in use."""
        peer = self._peers.choose()
        connection = peer.connect()
        try:
            request = connection.network.new_block_events_request(start_block=number, stop_block=number)
            with request.events(_BLOCK_WITHIN) as blocks:
                return take(next(blocks))
        except (FabricError, ValueError) as exc:
            self._fail(peer, connection, exc)

    def blocks(
        self, start: int, stop: Callable[[], bool], *, previous_hash: str | None, config: bytes | None = None
    ) -> Iterator[LedgerBlock]:
        self._judge.resume(start, config)
        peer = self._peers.choose()
        connection = peer.connect()
        before = None if previous_hash is None else bytes.fromhex(previous_hash)
        self._peers.read(start)
        try:
            with connection.network.block_events(start_block=start, previous_hash=before) as events:
                with self._lock:
                    self._open = (peer, events)
                for message in events:
                    block = decode_block(message)
                    # Before the reader has it: what waits for this block then meets the members that it names.
                    self._judge.check(message, block)
                    yield ledger_block(block, self._chaincode)
                    self._peers.read(block.number + 1)
                    if stop():
                        return
        except (FabricError, ValueError) as exc:
            if stop():
                return
            self._fail(peer, connection, exc)
        finally:
            with self._lock:
                self._open = None
        if not stop():
            raise Unavailable(f"the block stream of {peer.name} was ended", code="peer-unavailable")

    def interrupt(self) -> None:
        with self._lock:
            found = self._open
        if found is not None:
            found[1].close()

    def _left(self, peer: Peer) -> None:
        with self._lock:
            found = self._open
        if found is not None and found[0] is peer:
            found[1].close()

    def _fail(self, peer: Peer, connection: PeerConnection, exc: FabricError | ValueError) -> NoReturn:
        """Say what a failure of the stream means; only a connection that broke is opened again silently."""
        if connection.dropped:
            raise Unavailable(f"peer {peer.name} was left", code="peer-unavailable") from exc
        if isinstance(exc, DeliverError) and exc.status == _NOT_FOUND:
            # It has fewer blocks than were read: restored from a copy, or behind; the height says which.
            self._peers.suspect(peer)
            raise Unavailable(
                f"peer {peer.name} lacks the channel, or blocks that were read", code="peer-behind"
            ) from exc
        if isinstance(exc, KeyUnavailable):
            raise key_unavailable() from exc
        if isinstance(exc, GatewayError):
            self._peers.failed(peer, str(exc))
            raise Unavailable(f"the block stream of {peer.name} ended: {exc.message}", code="peer-unavailable") from exc
        if isinstance(exc, NotUnderstood):
            raise LedgerMisuse(f"the channel's configuration is not understood here: {exc}", reason="config") from exc
        if isinstance(exc, FabricError):
            self._peers.distrust(peer, str(exc))
            raise LedgerMisuse(f"the blocks of {peer.name} cannot be trusted: {exc}", reason="forked") from exc
        raise exc


def ledger_block(block: Block, chaincode: str) -> LedgerBlock:
    """A decoded block in the gateway's own terms; what is not for its readers is left out."""
    return LedgerBlock(
        number=block.number,
        hash=block.header_hash.hex(),
        previous_hash=block.previous_hash.hex(),
        transactions=tuple(_transaction(transaction, chaincode) for transaction in block.transactions),
        config=config_in(block),
    )


def _transaction(transaction: Transaction, chaincode: str) -> LedgerTransaction:
    at = "" if transaction.timestamp is None else transaction.timestamp.astimezone(UTC).isoformat()
    writes = tuple(_writes(transaction, chaincode)) if transaction.valid else ()
    answer = parse_object(transaction.result) if transaction.valid and transaction.chaincode == chaincode else None
    shown = answer is not None and _shows(writes, answer)
    return LedgerTransaction(
        transaction_id=transaction.transaction_id,
        index=transaction.index,
        code=transaction.validation_code,
        creator=transaction.creator_msp_id,
        at=at.replace("+00:00", "Z"),
        reply=answer if shown else None,
        writes=writes,
        envelope=transaction.mark,
        request=_request(transaction, chaincode) if transaction.valid else None,
        said=None if shown else answer,
        leaf=_leaf(transaction),
        deed=deed_of(transaction, chaincode),
    )


def _leaf(transaction: Transaction) -> bytes:
    """What the transparency log has of a transaction.

    The envelope is digested as the block has it, whose data hash binds those very bytes: every organisation that reads
    the chain comes to the same entry. Of what is valid, peers found that its id is a SHA-256.
    """
    if not transaction.valid or not transaction.endorsed:
        return b""
    return Entry.of(transaction.transaction_id, transaction.envelope).leaf


def _shows(writes: Iterable[LedgerWrite], answer: Json) -> bool:
    """Whether what was answered is what was written: a transaction that writes to its organisation's own private
    collection alone needs no other endorsement, and may answer whatever it likes."""
    written = [write.value for write in writes if write.value is not None]
    outcomes = answer.get(OUTCOMES)
    if not isinstance(outcomes, list):
        return answer.get("record") in written
    recorded = {canonical.encode(each["record"]) for each in outcomes if isinstance(each, dict) and "record" in each}
    return bool(recorded) and recorded <= {canonical.encode(value) for value in written}


def _request(transaction: Transaction, chaincode: str) -> str | None:
    """Which requests it recorded, by the rows that the chaincode writes beside the outcome of each."""
    found = []
    for namespace in transaction.namespaces:
        for write in namespace.writes if namespace.namespace == chaincode else ():
            if write.key.startswith(_OF_THE_CHAINCODE_ALONE) and not write.is_delete:
                row = parse_object(write.value) or {}
                found.append(":".join(str(row.get(name)) for name in ("by", "token", "command")))
    return REQUESTS_APART.join(found) or None


def _writes(transaction: Transaction, chaincode: str) -> Iterator[LedgerWrite]:
    for namespace in transaction.namespaces:
        if namespace.namespace != chaincode:
            continue
        for write in namespace.writes:
            if write.key.startswith(_OF_THE_CHAINCODE_ALONE):
                continue
            if write.is_delete:
                yield LedgerWrite(write.key, None)
                continue
            value = parse_object(write.value)
            if value is None:
                _LOG.error("transaction %s wrote an entry that is not a record", transaction.transaction_id)
            else:
                yield LedgerWrite(write.key, value)
