-- SPDX-License-Identifier: Apache-2.0
-- One channel's ledger. Keys are UTF-8 bytes so that SQLite compares them as Fabric does (rule S-24).
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE blocks (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  commit_hash BLOB NOT NULL,
  block BLOB NOT NULL
);

CREATE TABLE transactions (
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  txid TEXT NOT NULL,
  code INTEGER NOT NULL,
  timestamp BLOB NOT NULL,
  PRIMARY KEY (block, tx)
) WITHOUT ROWID;
CREATE INDEX transactions_by_id ON transactions (txid, block, tx);

CREATE TABLE state (
  ns TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  metadata BLOB,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  PRIMARY KEY (ns, key)
) WITHOUT ROWID;

CREATE TABLE hashes (
  ns TEXT NOT NULL,
  coll TEXT NOT NULL,
  key_hash BLOB NOT NULL,
  value_hash BLOB NOT NULL,
  metadata BLOB,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  PRIMARY KEY (ns, coll, key_hash)
) WITHOUT ROWID;

CREATE TABLE private (
  org TEXT NOT NULL,
  ns TEXT NOT NULL,
  coll TEXT NOT NULL,
  key BLOB NOT NULL,
  key_hash BLOB NOT NULL,
  value BLOB NOT NULL,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  PRIMARY KEY (org, ns, coll, key)
) WITHOUT ROWID;
CREATE INDEX private_by_hash ON private (ns, coll, key_hash);

CREATE TABLE history (
  ns TEXT NOT NULL,
  key BLOB NOT NULL,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  value BLOB NOT NULL,
  is_delete INTEGER NOT NULL,
  PRIMARY KEY (ns, key, block, tx)
) WITHOUT ROWID;

-- Private write sets as endorsed, one row per organisation that holds them (rules V-37 to V-41, D-11).
CREATE TABLE private_writes (
  org TEXT NOT NULL,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  ns TEXT NOT NULL,
  coll TEXT NOT NULL,
  rwset BLOB NOT NULL,
  PRIMARY KEY (block, tx, ns, coll, org)
) WITHOUT ROWID;

-- What leaves when block `due` commits. An empty key_hash stands for the private write sets of the collection.
CREATE TABLE expiry (
  due INTEGER NOT NULL,
  ns TEXT NOT NULL,
  coll TEXT NOT NULL,
  key_hash BLOB NOT NULL,
  block INTEGER NOT NULL,
  tx INTEGER NOT NULL,
  PRIMARY KEY (due, ns, coll, key_hash, block, tx)
) WITHOUT ROWID;

-- Private results of proposals whose transactions have not been committed yet (rule V-42).
CREATE TABLE transient (
  txid TEXT NOT NULL,
  org TEXT NOT NULL,
  height INTEGER NOT NULL,
  rwset BLOB NOT NULL,
  PRIMARY KEY (txid, org)
) WITHOUT ROWID;
