-- Of an id's occurrences the valid one counts, else the first. `envelope` tells whose it is (SHA-256 over what was signed
-- and the signature), `request` which request it recorded, `said` what was answered without public writes to show for it.
DROP TABLE ledger_transaction;
CREATE TABLE ledger_transaction (
  id TEXT PRIMARY KEY,
  block INTEGER NOT NULL,
  number INTEGER NOT NULL,
  code INTEGER NOT NULL,
  creator TEXT NOT NULL,
  at TEXT NOT NULL,
  envelope TEXT NOT NULL,
  request TEXT,
  reply TEXT,
  said TEXT
) WITHOUT ROWID;

-- What was read before is read again, from the first block.
DELETE FROM attribute;
DELETE FROM channel_config;
DELETE FROM entry;
DELETE FROM history;
UPDATE position SET height = 0, hash = NULL;
