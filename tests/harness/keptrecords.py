# SPDX-License-Identifier: Apache-2.0
"""Record stores of tests, sealed under a key-encryption key that every test has."""

import sqlite3
from typing import Any

from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.stores.database import Database
from gateway.stores.records import RecordStore
from gateway.stores.recordseals import (
    HASH_KEY_PLACE,
    RecordSeals,
    Seal,
    bucket_place,
    contents_place,
    heads_place,
)

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


def unseal(database: Database, keys: KeyEncryptionKeys = KEYS) -> None:
    """What a former version kept: everything in the open."""
    seals = RecordSeals(database, lambda: keys)

    def work(connection: sqlite3.Connection) -> None:
        for key, kept in connection.execute("SELECT key, hash_key FROM record_set").fetchall():
            seal: Seal = seals.of_set(key)
            blocks: Any = "SELECT start, size, heads, contents FROM record_block WHERE set_key = ?"
            for start, size, heads, contents in connection.execute(blocks, (key,)).fetchall():
                opened = seal.open(heads_place(start, size), heads), seal.open(contents_place(start, size), contents)
                update = "UPDATE record_block SET heads = ?, contents = ? WHERE set_key = ? AND start = ?"
                connection.execute(update, (*opened, key, start))
            buckets = "SELECT kind, run, bucket, entries FROM record_index WHERE set_key = ?"
            for kind, run, bucket, entries in connection.execute(buckets, (key,)).fetchall():
                update = "UPDATE record_index SET entries = ? WHERE set_key = ? AND kind = ? AND run = ? AND bucket = ?"
                opened_bucket = seal.open(bucket_place(kind, run, bucket), entries)
                connection.execute(update, (opened_bucket, key, kind, run, bucket))
            update = "UPDATE record_set SET hash_key = ?, data_key = NULL WHERE key = ?"
            connection.execute(update, (seal.open(HASH_KEY_PLACE, kept), key))
        connection.execute("DELETE FROM data_key")

    database.write(work)
