# SPDX-License-Identifier: Apache-2.0
"""Recompute a ledger from its blocks and name whatever differs from what is stored.

Nothing stored beside the blocks is believed: every signature, policy and read is judged again, from the genesis
block on, into a fresh ledger, which must equal the stored one entry for entry. Private cleartext is held to the
hashes in the blocks.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from google.protobuf.message import DecodeError

from network.embedded.blockcommit import commit_genesis, prepare, run
from network.embedded.blocks import (
    COMMIT_HASH,
    SIGNATURES,
    data_hash,
    flags_of,
    header_hash,
    last_config,
    signed_parts,
)
from network.embedded.channelconfig import ChannelConfig, MalformedConfig
from network.embedded.entries import Commit, PrivateWriteSet, hash_key
from network.embedded.fscktables import compare_private, compare_tables
from network.embedded.policy import PolicyNotSatisfied, SignedData
from network.embedded.store import Store, StoreError
from network.embedded.transactions import NamespaceSet, deletes, deletes_hash, parse

__all__ = ["Finding", "Report", "fsck"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: where, and what is wrong there."""

    channel: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.channel}: {self.place}: {self.problem}"


@dataclass(slots=True)
class Report:
    """What was read, and every difference found; `ok` when there is none."""

    heights: dict[str, int] = field(default_factory=dict)
    """Blocks checked, by channel."""
    transactions: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


def fsck(path: Path, *, genesis_hashes: dict[str, str] | None = None) -> Report:
    """Check the ledgers of a data directory, or one ledger file; the network may be running.

    `genesis_hashes` pins the hex hash of block 0 by channel: without it a ledger that was rewritten as a whole, by
    someone who holds all keys, cannot be distinguished from the original. Raises FileNotFoundError without a ledger.
    """
    files = [path] if path.is_file() else sorted((path / "ledger").glob("*.db"))
    if not files:
        raise FileNotFoundError(f"{path} holds no ledger")
    report = Report()
    for file in files:
        pinned = (genesis_hashes or {}).get(file.stem)
        _Check(file, report, pinned).run()
    return report


class _Held:
    """The stored private write sets of one block, as replay's source of cleartext."""

    def __init__(self) -> None:
        self.by_transaction: dict[tuple[str, str, str], bytes] = {}

    def find(self, transaction_id: str, ns: str, coll: str, digest: bytes) -> bytes | None:
        del digest  # a purge shortens write sets, so keys are compared one by one instead
        return self.by_transaction.get((transaction_id, ns, coll))


class _Check:
    def __init__(self, file: Path, report: Report, pinned: str | None) -> None:
        self._file = file
        self._channel = file.stem
        self._report = report
        self._pinned = pinned
        self._held = _Held()
        self._config: ChannelConfig | None = None
        self._config_block = 0

    def run(self) -> None:
        self._report.heights[self._channel] = 0
        try:
            stored = Store.open(self._file, read_only=True)
        except StoreError as exc:
            self._find("the file", str(exc))
            return
        try:
            self._compare(stored)
        except (sqlite3.DatabaseError, DecodeError, UnicodeDecodeError) as exc:
            self._find("the file", f"cannot be read: {exc}")
        finally:
            stored.close()

    def _compare(self, stored: Store) -> None:
        connection = stored.pin()
        if problems := [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]:
            for problem in problems:
                self._find("the file", problem)
            return
        with tempfile.TemporaryDirectory(prefix="fsck-") as scratch:
            fresh = Store.open(Path(scratch) / "replay.db", durable=False)
            try:
                if self._replay(stored, fresh):
                    for place, problem in compare_tables(connection, fresh.pin()):
                        self._find(place, problem)
                    for place, problem in compare_private(connection, fresh.pin()):
                        self._find(place, problem)
            finally:
                fresh.close()

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _replay(self, stored: Store, fresh: Store) -> bool:
        """Replay all blocks; False when there is nothing that the stored state could be compared with."""
        if stored.height == 0:
            self._find("block 0", "is missing")
            return False
        for number in range(stored.height):
            try:
                block = stored.block(number)
            except sqlite3.DatabaseError:
                self._find(f"block {number}", "is missing")
                return False
            except DecodeError:
                self._find(f"block {number}", "cannot be parsed")
                return False
            self._report.heights[self._channel] += 1
            self._report.transactions += len(block.data.data)
            if not self._replay_block(stored, fresh, block, number):
                return False
        return True

    def _replay_block(self, stored: Store, fresh: Store, block: Any, number: int) -> bool:
        place = f"block {number}"
        for problem in self._header_problems(stored, fresh, block, number):
            self._find(place, problem)
        if number == 0:
            if not self._begin(block):
                return False
            commit_genesis(fresh, _bare(block, 0, b""))
        else:
            if not self._signed(block):
                self._find(place, "is not signed by the ordering service")
            self._hold(stored, block, number)
            commit = run(prepare(fresh, self._config, self._held, _bare(block, number, fresh.tip_hash)))
            self._compare_codes(block, commit)
            commit.header_hash = header_hash(block.header)
            fresh.commit(commit)
            if commit.config is not None:
                self._config, self._config_block = commit.config, number
            if not self._names_config(block):
                self._find(place, "does not name the configuration in force")
        return True

    def _header_problems(self, stored: Store, fresh: Store, block: Any, number: int) -> Iterator[str]:
        header = block.header
        if header.number != number:
            yield f"calls itself block {header.number}"
        if header.previous_hash != fresh.tip_hash:
            yield "does not name the hash of the block before it"
        if header.data_hash != data_hash(block.data.data):
            yield "has data that do not match their hash"
        if stored.stored_hash(number) != header_hash(header):
            yield "is indexed under another hash"
        if len(block.metadata.metadata) != 5:
            yield f"has {len(block.metadata.metadata)} metadata slots instead of 5"
        if number == 0 and self._pinned is not None and header_hash(header).hex() != self._pinned:
            yield "is not the genesis block that was pinned"

    def _begin(self, block: Any) -> bool:
        try:
            self._config = ChannelConfig.from_block(block)
        except MalformedConfig as exc:
            self._find("block 0", f"holds no usable configuration: {exc}")
            return False
        return True

    def _signed(self, block: Any) -> bool:
        assert self._config is not None  # block 0 comes first
        try:
            signed = [SignedData(*part) for part in signed_parts(block)]
            self._config.policy("/Channel/Orderer/BlockValidation").evaluate(signed)
        except (DecodeError, PolicyNotSatisfied, KeyError):
            return False
        return True

    def _names_config(self, block: Any) -> bool:
        """Whether both places that name the newest configuration block are right; only one of them is signed."""
        try:
            signed = common_pb2.Metadata.FromString(block.metadata.metadata[SIGNATURES]).value
            indices = (common_pb2.OrdererBlockMetadata.FromString(signed).last_config.index, last_config(block))
        except (DecodeError, IndexError):
            return False
        return indices == (self._config_block, self._config_block)

    def _compare_codes(self, block: Any, commit: Commit) -> None:
        number = commit.number
        stored = flags_of(block) if len(block.metadata.metadata) == 5 else b""
        if len(stored) != len(block.data.data):
            self._find(f"block {number}", f"has {len(stored)} validation codes for {len(block.data.data)} transactions")
        for tx, (was, (txid, code, _)) in enumerate(zip(stored, commit.transactions, strict=False)):
            if was != code:
                self._find(f"block {number} transaction {tx} ({txid})", f"has validation code {was}, must have {code}")
        recomputed = commit.block.metadata.metadata[COMMIT_HASH]
        if len(block.metadata.metadata) == 5 and block.metadata.metadata[COMMIT_HASH] != recomputed:
            self._find(f"block {number}", "has another commit hash than its contents and codes give")

    # -- private data ------------------------------------------------------------------------------------------------

    def _hold(self, stored: Store, block: Any, number: int) -> None:
        self._held.by_transaction.clear()
        write_sets = stored.private_writes(number)
        if not write_sets:
            return
        parsed = [parse(raw) for raw in block.data.data]
        for write_set in write_sets:
            place = f"private writes of {write_set.org} in block {number} transaction {write_set.tx}"
            transaction = parsed[write_set.tx] if write_set.tx < len(parsed) else None
            problem = _private_problem(write_set, [] if transaction is None else transaction.sets)
            if problem is not None:
                self._find(f"{place}, {write_set.namespace}/{write_set.collection}", problem)
            elif transaction is not None:
                held = (transaction.transaction_id, write_set.namespace, write_set.collection)
                self._held.by_transaction.setdefault(held, write_set.rwset)

    def _find(self, place: str, problem: str) -> None:
        self._report.findings.append(Finding(self._channel, place, problem))


def _bare(block: Any, number: int, previous_hash: bytes) -> Any:
    """The block as it has to follow here, without what the peer added to it."""
    bare = common_pb2.Block()
    bare.CopyFrom(block)
    bare.header.number = number
    bare.header.previous_hash = previous_hash
    del bare.metadata.metadata[2:]
    return bare


def _private_problem(write_set: PrivateWriteSet, sets: list[NamespaceSet]) -> str | None:
    """Why a stored write set is not what the block's hashes stand for; None when it is."""
    hashed = next(
        (
            collection.hashed
            for one in sets
            for collection in one.collections
            if (one.namespace, collection.name) == (write_set.namespace, write_set.collection)
        ),
        None,
    )
    if hashed is None:
        return "belong to no hashes in the block"
    try:
        rwset = kv_rwset_pb2.KVRWSet.FromString(write_set.rwset)
    except DecodeError:
        return "cannot be parsed"
    written = {(w.key_hash, b"" if deletes_hash(w) else w.value_hash) for w in hashed.hashed_writes}
    for write in rwset.writes:
        value_hash = b"" if deletes(write) else sha256(write.value).digest()
        if (hash_key(write.key), value_hash) not in written:
            return f"hold a value of key {write.key!r} that its hash does not match"
    return None
