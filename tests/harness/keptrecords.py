# SPDX-License-Identifier: Apache-2.0
"""Record stores of tests, sealed under a key-encryption key that every test has."""

from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.stores.database import Database
from gateway.stores.records import RecordStore
from gateway.stores.recordseals import RecordSeals, contents_place, heads_place

KEYS = KeyEncryptionKeys([b"k" * 32])


def record_store(database: Database) -> RecordStore:
    """The record store of a database."""
    return RecordStore(database, RecordSeals(database, lambda: KEYS))


def alter_block(database: Database, column: str, place: int) -> None:
    """Make a byte of the first block zero, as somebody does who has the keys."""
    select = f"SELECT rowid, set_key, start, size, {column} FROM record_block ORDER BY rowid LIMIT 1"
    row, key, start, size, sealed = database.reader().execute(select).fetchone()
    seal = RecordSeals(database, lambda: KEYS).of_set(key)
    where = {"heads": heads_place, "contents": contents_place}[column](start, size)
    piece = bytearray(seal.open(where, sealed))
    piece[place] = 0
    update = f"UPDATE record_block SET {column} = ? WHERE rowid = ?"
    database.write(lambda connection: connection.execute(update, (seal.seal(where, bytes(piece)), row)))
