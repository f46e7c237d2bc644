-- Ids are random, and a row holds a whole reply. Rows lie in the order of the ledger now, one page after the other, and
-- only the ids are sorted: a block changes half as many pages of this table.
ALTER TABLE ledger_transaction RENAME TO ledger_transaction_by_id;
CREATE TABLE ledger_transaction (
  id TEXT NOT NULL UNIQUE,
  block INTEGER NOT NULL,
  number INTEGER NOT NULL,
  code INTEGER NOT NULL,
  creator TEXT NOT NULL,
  at TEXT NOT NULL,
  envelope TEXT NOT NULL,
  request TEXT,
  reply TEXT,
  said TEXT,
  logged INTEGER
);
INSERT INTO ledger_transaction SELECT * FROM ledger_transaction_by_id ORDER BY block, number;
DROP TABLE ledger_transaction_by_id;
