# SPDX-License-Identifier: Apache-2.0
"""From an ordered block to everything that it brings to the ledger: the one path for live blocks, replay and fsck."""

from collections.abc import Generator, Set
from typing import Any

from fabric_protos.common import common_pb2

from network.embedded.blocks import header_hash, set_peer_metadata
from network.embedded.commithash import commit_hash
from network.embedded.entries import Commit
from network.embedded.overlay import Overlay
from network.embedded.private import Cleartext, PrivateCommit
from network.embedded.store import Store
from network.embedded.transactions import CONFIG, ENDORSER_TRANSACTION, VALID, deletes, parse
from network.embedded.validate import Candidate, StageA, mark_duplicates, stage_b

CONFIG_KEY = "CHANNEL_CONFIG_ENV_BYTES"
"""The key of the channel configuration in the namespace "" (rule O-19)."""


def prepare(
    store: Store, config: Any, cleartext: Cleartext, block: Any, verified: Set[int] = frozenset()
) -> Generator[None, None, Commit]:
    """Validate `block` against the store's height and answer its commit; the block gets flags and commit hash.

    `verified` are the indices of entries whose creator's signature the orderer checked in this process. The
    generator pauses between transactions, so that an event loop can go on endorsing meanwhile.
    """
    with store.snapshot() as snapshot:
        overlay = Overlay(snapshot)
        candidates: list[Candidate] = []
        if block.header.number == 0:
            candidates = [Candidate(parse(raw)) for raw in block.data.data]
        else:
            stage_a = StageA(store, config, overlay)
            for index, raw in enumerate(block.data.data):
                candidates.append(stage_a.check(raw, creator_verified=index in verified))
                yield
            mark_duplicates(candidates)
            stage_b(candidates, overlay, block.header.number)
            yield
        _apply_configs(candidates, overlay, block)
        return _commit(store, config, cleartext, block, candidates, overlay)


class NoCleartext:
    """For blocks that cannot hold private data."""

    def find(self, transaction_id: str, ns: str, coll: str, digest: bytes) -> bytes | None:
        """Nothing is known."""
        del transaction_id, ns, coll, digest
        return None


def run(steps: Generator[None, None, Commit]) -> Commit:
    """Take `prepare` through without pauses."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            commit: Commit = done.value
            return commit


def commit_genesis(store: Store, block: Any) -> None:
    """Begin a ledger with its configuration (rule O-19)."""
    store.commit(run(prepare(store, None, NoCleartext(), block)))


def _apply_configs(candidates: list[Candidate], overlay: Overlay, block: Any) -> None:
    for index, candidate in enumerate(candidates):
        if candidate.valid and candidate.parsed.type == CONFIG:
            data = common_pb2.Payload.FromString(candidate.parsed.payload).data
            overlay.put_config(CONFIG_KEY, data, (block.header.number, index))


def _commit(
    store: Store, config: Any, cleartext: Cleartext, block: Any, candidates: list[Candidate], overlay: Overlay
) -> Commit:
    flags = bytes(candidate.code for candidate in candidates)
    number = block.header.number
    digest = commit_hash(flags, overlay.writes(), store.commit_hash) if number else b""
    set_peer_metadata(block, flags, digest)
    commit = Commit(
        block=block,
        header_hash=header_hash(block.header),
        commit_hash=digest,
        transactions=[(c.parsed.transaction_id, c.code, c.parsed.timestamp) for c in candidates],
        changes=overlay.changes,
        history=_history(candidates),
    )
    private = PrivateCommit(store, config, overlay, cleartext, commit)
    private.add(candidates)
    private.reconcile(candidates)
    private.expire()
    # A configuration is alone in its block, so there is one at most.
    commit.config = next((c.config for c in candidates if c.valid and c.config is not None), None)
    return commit


def _history(candidates: list[Candidate]) -> list[tuple[str, str, int, bytes, bool]]:
    """Every public write and delete of valid transactions (rule V-35); the last write of a key in a set counts."""
    rows: dict[tuple[str, str, int], tuple[bytes, bool]] = {}
    for index, candidate in enumerate(candidates):
        if candidate.code != VALID or candidate.parsed.type != ENDORSER_TRANSACTION:
            continue
        for one in candidate.parsed.sets:
            for write in one.public.writes:
                deleted = deletes(write)
                rows[one.namespace, write.key, index] = (b"" if deleted else write.value, deleted)
    return [(*place, value, deleted) for place, (value, deleted) in rows.items()]
