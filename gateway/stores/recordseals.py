# SPDX-License-Identifier: Apache-2.0
"""What the record store keeps of a data set, sealed under a data key of that data set (docs/sealing.md).

A sealed piece is ``form (1), 02 | nonce (12) | AES-256-GCM of the piece, and its tag (16)``; associated data is
``"pedigree-records/v1\\0" ‖ what it is ‖ where it is``, so that a piece opens in its own place only. Nonces are drawn
at random: a data set has far fewer than 2^32 pieces. A data key is wrapped as that of a blob is, under the id
``SHA-256("pedigree-records-key/v1\\0" ‖ data set)``. Without it nothing of the data set opens any more, in any copy of
the file: to destroy the key is to erase the records.
"""

import os
import struct
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.blobs import KEY
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import SealError
from gateway.services.publications import KeysUnusable
from gateway.services.trees import NotHeld
from gateway.stores.sql import Connection, SqlDatabase

FORM: Final = b"\x02"
"""What a sealed piece begins with; a block that is not sealed begins with 01."""
_NONCE: Final = 12
_LABEL: Final = b"pedigree-records/v1\0"
_KEY_LABEL: Final = b"pedigree-records-key/v1\0"
HASH_KEY_PLACE: Final = b"hash-key"
_BLOCK: Final = struct.Struct(">QI")


class RecordsDestroyed(NotHeld):
    """The key of a data set's records was destroyed on purpose."""


class PieceDamaged(NotHeld):
    """A sealed piece does not open in its place."""


def heads_place(start: int, size: int) -> bytes:
    """Where the heads of a block are."""
    return b"heads" + _BLOCK.pack(start, size)


def contents_place(start: int, size: int) -> bytes:
    """Where the contents of a block are."""
    return b"contents" + _BLOCK.pack(start, size)


def bucket_place(kind: int, run: int, bucket: int) -> bytes:
    """Where a bucket of the index is."""
    return b"bucket" + struct.pack(">BIQ", kind, run, bucket)


class Seal:
    """Seals and opens pieces of one data set; thread-safe."""

    def __init__(self, key: bytes, dataset: str) -> None:
        self._cipher = AESGCM(key)
        self._dataset = dataset

    def seal(self, place: bytes, piece: bytes) -> bytes:
        """A piece as it is kept."""
        nonce = os.urandom(_NONCE)
        return FORM + nonce + self._cipher.encrypt(nonce, piece, _LABEL + place)

    def open(self, place: bytes, sealed: bytes) -> bytes:
        """A piece as it was; raises `PieceDamaged`."""
        head = len(FORM) + _NONCE
        try:
            if not sealed.startswith(FORM):
                raise ValueError
            return self._cipher.decrypt(sealed[len(FORM) : head], memoryview(sealed)[head:], _LABEL + place)
        except (InvalidTag, ValueError):
            raise PieceDamaged(
                f"{_shown(place)} of {self._dataset!r} is not what was sealed there; restore records.db from a backup"
            ) from None


class RecordSeals:
    """The data keys of a record store; thread-safe."""

    def __init__(self, database: SqlDatabase, keys: Callable[[], KeyEncryptionKeys]) -> None:
        """Assign.

        Args:
            keys: the organisation's key-encryption keys; raises `KeysUnusable`.
        """
        self._database = database
        self._keys = keys
        self._of_key: dict[int, Seal] = {}
        self._of_set: dict[int, Seal] = {}
        self._lock = threading.Lock()

    def key_for(self, dataset: str) -> int:
        """The data key that a new set of a data set is sealed under, made where there is none; its number."""
        with self._lock:
            select = "SELECT key FROM data_key WHERE dataset = ? AND wrapped IS NOT NULL ORDER BY key DESC LIMIT 1"
            row = self._database.reader().execute(select, (dataset,)).fetchone()
            if row is not None:
                return int(row[0])
            wrapped = self._keys().wrap(os.urandom(KEY), _id(dataset))

            def work(connection: Connection) -> int:
                insert = "INSERT INTO data_key (dataset, wrapped) VALUES (?, ?) RETURNING key"
                return int(connection.execute(insert, (dataset, wrapped)).fetchone()[0])

            return self._database.write(work)

    def of_key(self, number: int) -> Seal:
        """The seal of a data key; raises `RecordsDestroyed` and `KeysUnusable`."""
        found = self._of_key.get(number)
        if found is None:
            select = "SELECT dataset, wrapped FROM data_key WHERE key = ?"
            dataset, wrapped = self._database.reader().execute(select, (number,)).fetchone()
            if wrapped is None:
                raise RecordsDestroyed(f"the key of the records of {dataset!r} was destroyed: they are erased")
            try:
                key = self._keys().unwrap(wrapped, _id(dataset))
            except SealError as exc:
                raise KeysUnusable(f"the data key of the records of {dataset!r} does not open: {exc}") from exc
            found = self._of_key[number] = Seal(key, dataset)
        return found

    def of_set(self, key: int) -> Seal:
        """The seal of a set; raises `KeyError` where there is none such, and as `of_key`."""
        found = self._of_set.get(key)
        if found is None:
            row = self._database.reader().execute("SELECT data_key FROM record_set WHERE key = ?", (key,)).fetchone()
            if row is None or row[0] is None:
                raise KeyError(key)
            found = self._of_set[key] = self.of_key(row[0])
        return found

    def forget_set(self, key: int) -> None:
        """Look a set's key up again when it is next asked for."""
        self._of_set.pop(key, None)

    def rewrap(self, keys: KeyEncryptionKeys) -> int:
        """Wrap every data key that is under an older key-encryption key under that in use; how many these were.

        All of them or none. Raises `SealError` where one does not open.
        """
        select = "SELECT key, dataset, wrapped FROM data_key WHERE wrapped IS NOT NULL"
        changed = [
            (again, number)
            for number, dataset, wrapped in self._database.reader().execute(select).fetchall()
            if (again := keys.rewrap(wrapped, _id(dataset))) != wrapped
        ]
        update = "UPDATE data_key SET wrapped = ? WHERE key = ?"
        self._database.write(lambda connection: connection.executemany(update, changed))
        return len(changed)

    def count_of(self, dataset: str) -> int:
        """How many data keys there are of a data set."""
        select = "SELECT count(*) FROM data_key WHERE dataset = ? AND wrapped IS NOT NULL"
        count: int = self._database.reader().execute(select, (dataset,)).fetchone()[0]
        return count

    def destroy(self, dataset: str) -> int:
        """Destroy the data keys of a data set, so that nothing of it opens any more; how many these were.

        The keys are overwritten in the file. Copies of the file still have them, wrapped.
        """
        update = "UPDATE data_key SET wrapped = NULL WHERE dataset = ? AND wrapped IS NOT NULL"

        def work(connection: Connection) -> int:
            self._database.overwrite_removed(connection)
            return connection.execute(update, (dataset,)).rowcount

        with self._lock:
            count = self._database.write(work)
            self._of_key.clear()
            self._of_set.clear()
        return count


def count_keys(database: SqlDatabase) -> int:
    """How many data keys of records are wrapped in a database."""
    select = "SELECT count(*) FROM data_key WHERE wrapped IS NOT NULL"
    count: int = database.reader().execute(select).fetchone()[0]
    return count


def _shown(place: bytes) -> str:
    """What is at a place, in words."""
    for kind in (b"heads", b"contents"):
        if place.startswith(kind):
            start, size = _BLOCK.unpack(place.removeprefix(kind))
            return f"what is kept of the records {start + 1} to {start + size}"
    return "the index of the records"


def _id(dataset: str) -> bytes:
    return sha256(_KEY_LABEL + dataset.encode()).digest()
