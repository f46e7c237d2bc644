-- The transparency log of this organisation: one entry for each valid transaction, in the order of the ledger, and the
-- Merkle tree over them in tiles of 256 hashes (C2SP tlog-tiles). The last tile of each level may be incomplete.
CREATE TABLE log_entry (
  number INTEGER PRIMARY KEY,
  entry BLOB NOT NULL
);
CREATE TABLE log_tile (
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (level, number)
);
ALTER TABLE position ADD COLUMN logged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger_transaction ADD COLUMN logged INTEGER;

-- Everything is read again, from the first block.
DELETE FROM attribute;
DELETE FROM block_time;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
DELETE FROM channel_config;
UPDATE position SET height = 0, hash = NULL, genesis = NULL, places = 0;
