# SPDX-License-Identifier: Apache-2.0
"""One proposal's view of the ledger: reads of one committed height, and writes that are only written down.

A transaction never sees its own writes (rule S-21). Everything that decides about conflicts later is recorded as it
is read; what may not be combined in one transaction is refused as it is asked for (rule S-28).
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from network.embedded.definitions import LIFECYCLE, UnusableDefinitionError, collection, field_key, metadata_key
from network.embedded.entries import Entry, HistoryEntry, Version, decode_metadata
from network.embedded.rwset import RangeQuery, RwsetBuilder
from network.embedded.snapshot import Snapshot

__all__ = ["RangeScan", "SimulationError", "Simulator"]


class SimulationError(Exception):
    """The ledger refuses what was asked; the text reaches the chaincode."""


class RangeScan:
    """An iterator over public keys that records what it fetches (rule R-7)."""

    def __init__(self, rows: Iterator[tuple[str, Entry]], query: RangeQuery) -> None:
        self._rows = rows
        self._query = query

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self

    def __next__(self) -> tuple[str, bytes]:
        try:
            key, entry = next(self._rows)
        except StopIteration:
            self._query.ran_out()
            raise
        self._query.fetched(key, entry.version)
        return key, entry.value

    def bookmark(self) -> str:
        """The key where the next page starts, empty at the end; this look is not recorded (rule S-27)."""
        return next((key for key, _ in self._rows), "")


class Simulator:
    """Reads and writes of one transaction on one organisation's peer.

    It closes the snapshot that it was given. All methods belong to the event loop's thread.
    """

    def __init__(self, snapshot: Snapshot, config: Any, org: str, transaction_id: str) -> None:
        self.snapshot = snapshot
        self.config = config
        """The channel's configuration."""
        self.org = org
        self.transaction_id = transaction_id
        self.rwset = RwsetBuilder()
        self.resolved: dict[str, Any] = {}
        """Definitions found so far, by chaincode name; the snapshot does not change under them."""
        self.private_reads: set[tuple[str, str]] = set()
        """(namespace, collection) whose cleartext was read by key (rule R-20)."""
        self._entries: dict[tuple[str, str], Entry | None] = {}
        self._known_collections: set[tuple[str, str]] = set()
        self._defined: set[str] = set()
        self._written = False
        self._paginated = False
        self._queried_private = False

    def close(self) -> None:
        """Let the ledger forget this view."""
        self.snapshot.close()

    def _entry(self, namespace: str, key: str) -> Entry | None:
        """A public entry, fetched once: what is read is mostly written too, and then its policy is asked for."""
        place = (namespace, key)
        if place not in self._entries:
            self._entries[place] = self.snapshot.get(namespace, key)
        return self._entries[place]

    # -- public state --------------------------------------------------------------------------------------------

    def get(self, namespace: str, key: str) -> bytes:
        """The committed value, empty when absent."""
        entry = self._entry(namespace, key)
        self.rwset.add_read(namespace, key, None if entry is None else entry.version)
        return b"" if entry is None else entry.value

    def metadata(self, namespace: str, key: str) -> dict[str, bytes]:
        """The key's committed metadata; it counts as a read of the key (rule R-6)."""
        entry = self._entry(namespace, key)
        self.rwset.add_read(namespace, key, None if entry is None else entry.version)
        return {} if entry is None else decode_metadata(entry.metadata)

    def put(self, namespace: str, key: str, value: bytes | None) -> None:
        """Write or, with None or an empty value, delete."""
        self._before_write()
        self.rwset.add_write(namespace, key, value)

    def put_metadata(self, namespace: str, key: str, entries: Mapping[str, bytes]) -> None:
        """Replace the key's whole metadata."""
        self._before_write()
        self.rwset.add_metadata_write(namespace, key, entries)

    def range(self, namespace: str, start: str, end: str, *, paginated: bool = False) -> RangeScan:
        """Iterate over [start, end) by UTF-8 bytes; an empty end means the end of the namespace (rule S-24)."""
        if paginated:
            self.before_page()
        query = RangeQuery(start, end)
        self.rwset.add_range_query(namespace, query)
        return RangeScan(self.snapshot.range(namespace, start, end), query)

    def history(self, namespace: str, key: str) -> Iterator[HistoryEntry]:
        """Valid changes of a key, newest first; nothing is recorded (rule S-31)."""
        return self.snapshot.history(namespace, key)

    # -- private data --------------------------------------------------------------------------------------------

    def get_private(self, namespace: str, coll: str, key: str) -> bytes:
        """The cleartext on this organisation's peer, empty when the key was never written.

        Raises SimulationError when this peer lacks the cleartext that the public hash promises (rule S-35).
        """
        self._check_collection(namespace, coll)
        entry = self.snapshot.get_private(self.org, namespace, coll, key)
        hashed = self.snapshot.get_hash(namespace, coll, _hash(key))
        held = None if entry is None else entry.version
        promised = None if hashed is None else hashed.version
        if held != promised:
            raise SimulationError(
                "private data matching public hash version is not available. "
                f"Public hash version = {_height(promised)}, Private data version = {_height(held)}"
            )
        self.rwset.add_hashed_read(namespace, coll, key, held)
        self.private_reads.add((namespace, coll))
        return b"" if entry is None else entry.value

    def get_private_many(self, namespace: str, coll: str, keys: Sequence[str]) -> list[bytes]:
        """Cleartexts in order, empty for what this peer lacks, without comparing versions (rule S-36)."""
        self._check_collection(namespace, coll)
        values = []
        for key in keys:
            entry = self.snapshot.get_private(self.org, namespace, coll, key)
            self.rwset.add_hashed_read(namespace, coll, key, None if entry is None else entry.version)
            values.append(b"" if entry is None else entry.value)
        self.private_reads.add((namespace, coll))
        return values

    def get_private_hash(self, namespace: str, coll: str, key: str) -> bytes:
        """SHA-256 of the committed private value, on every peer; empty when absent."""
        self._check_collection(namespace, coll)
        entry = self.snapshot.get_hash(namespace, coll, _hash(key))
        self.rwset.add_hashed_read(namespace, coll, key, None if entry is None else entry.version)
        return b"" if entry is None else entry.value_hash

    def private_metadata(self, namespace: str, coll: str, key: str) -> dict[str, bytes]:
        """The private key's committed metadata; it counts as a hashed read (rule R-15)."""
        self._check_collection(namespace, coll)
        entry = self.snapshot.get_hash(namespace, coll, _hash(key))
        self.rwset.add_hashed_read(namespace, coll, key, None if entry is None else entry.version)
        return {} if entry is None else decode_metadata(entry.metadata)

    def put_private(self, namespace: str, coll: str, key: str, value: bytes | None, *, purge: bool = False) -> None:
        """Write, delete or purge a private key."""
        self._check_collection(namespace, coll)
        self._before_write()
        self.rwset.add_private_write(namespace, coll, key, value, purge=purge)

    def put_private_metadata(self, namespace: str, coll: str, key: str, entries: Mapping[str, bytes]) -> None:
        """Replace the private key's whole metadata."""
        self._check_collection(namespace, coll)
        self._before_write()
        self.rwset.add_private_metadata_write(namespace, coll, key, entries)

    def range_private(self, namespace: str, coll: str, start: str, end: str) -> Iterator[tuple[str, bytes]]:
        """Iterate over this peer's cleartexts; nothing is recorded, so it is for read-only transactions (R-8)."""
        self._check_collection(namespace, coll)
        self.before_private_query()
        rows = self.snapshot.range_private(self.org, namespace, coll, start, end)
        return ((key, entry.value) for key, entry in rows)

    # -- definitions ---------------------------------------------------------------------------------------------

    def read_sequence(self, chaincode: str) -> Entry | None:
        """Read the definition's sequence, which every invocation rests upon (rule R-9)."""
        key = field_key(chaincode, "Sequence")
        entry = self.snapshot.get(LIFECYCLE, key)
        self.rwset.add_read(LIFECYCLE, key, None if entry is None else entry.version)
        return entry

    def note_sequence(self, chaincode: str, version: Version) -> None:
        """Record that read when its version at this snapshot's height is known."""
        self.rwset.add_read(LIFECYCLE, field_key(chaincode, "Sequence"), version)

    def read_definition(self, chaincode: str) -> None:
        """Read the whole definition, as every private-data call does to find its collection (rule R-10)."""
        if chaincode in self._defined:
            return
        self._defined.add(chaincode)
        fields = ("Collections", "EndorsementInfo", "Sequence", "ValidationInfo")
        for key in (metadata_key(chaincode), *(field_key(chaincode, name) for name in fields)):
            entry = self.snapshot.get(LIFECYCLE, key)
            self.rwset.add_read(LIFECYCLE, key, None if entry is None else entry.version)

    def _check_collection(self, namespace: str, name: str) -> None:
        if (namespace, name) in self._known_collections:
            return
        if namespace != LIFECYCLE:
            self.read_definition(namespace)
        try:
            collection(self.snapshot, self.config, namespace, name)
        except UnusableDefinitionError as error:
            raise SimulationError(self._no_collection(namespace, name)) from error
        self._known_collections.add((namespace, name))

    def _no_collection(self, namespace: str, name: str) -> str:
        if self.config.application_orgs:
            # Every application organisation has an implicit collection, so the chaincode has collections.
            return f"collection [{name}] not defined in the collection config for chaincode [{namespace}]"
        return (
            f"collection config not defined for chaincode [{namespace}], "
            "pass the collection configuration upon chaincode definition/instantiation"
        )

    # -- what may not be combined ----------------------------------------------------------------------------------

    def before_page(self) -> None:
        """Note a paginated query; raises SimulationError after a write (rule S-28)."""
        if self._written:
            raise self._unsupported("Paginated queries are supported only in a read-only transaction")
        self._paginated = True

    def before_private_query(self) -> None:
        """Note a query on private data; raises SimulationError after a write (rule S-28)."""
        if self._written:
            raise self._unsupported("Queries on pvt data is supported only in a read-only transaction")
        self._queried_private = True

    def _before_write(self) -> None:
        if self._queried_private:
            raise self._unsupported("Transaction has already performed queries on pvt data. Writes are not allowed")
        if self._paginated:
            raise self._unsupported("Transaction has already performed a paginated query. Writes are not allowed")
        self._written = True

    def _unsupported(self, reason: str) -> SimulationError:
        # The misspelling is Fabric's, and programs match on it.
        return SimulationError(f"txid [{self.transaction_id}]: unsuppored transaction. {reason}")

    # -- results -------------------------------------------------------------------------------------------------

    def key_policy(self, namespace: str, key: str) -> bytes:
        """The committed key-level endorsement policy of a public key, empty when it has none; not recorded."""
        entry = self._entry(namespace, key)
        return _policy(None if entry is None else entry.metadata)

    def private_key_policy(self, namespace: str, coll: str, key: str) -> bytes:
        """The committed key-level endorsement policy of a private key, empty when it has none; not recorded."""
        entry = self.snapshot.get_hash(namespace, coll, _hash(key))
        return _policy(None if entry is None else entry.metadata)


def _policy(metadata: bytes | None) -> bytes:
    return b"" if metadata is None else decode_metadata(metadata).get("VALIDATION_PARAMETER", b"")


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _height(version: Version | None) -> str:
    return "<nil>" if version is None else f"{{BlockNum: {version[0]}, TxNum: {version[1]}}}"
