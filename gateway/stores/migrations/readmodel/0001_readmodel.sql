-- What queries see, derived from blocks alone: drop the file and it is rebuilt by the same path.
CREATE TABLE position (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  height INTEGER NOT NULL,
  hash TEXT
);
INSERT INTO position VALUES (1, 0, NULL);

-- Every transaction of every block; the first occurrence of an id counts, as in the peer's own index.
CREATE TABLE ledger_transaction (
  id TEXT PRIMARY KEY,
  block INTEGER NOT NULL,
  number INTEGER NOT NULL,
  code INTEGER NOT NULL,
  creator TEXT NOT NULL,
  at TEXT NOT NULL,
  reply TEXT
) WITHOUT ROWID;

-- Current value of each ledger entry. `position` sorts in ledger order of creation and serves as the cursor.
CREATE TABLE entry (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  transaction_id TEXT NOT NULL,
  block INTEGER NOT NULL,
  at TEXT NOT NULL,
  position TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX entry_by_kind ON entry (kind, position);

-- Top-level texts and numbers of each entry, so that lists can be filtered without a table per kind.
CREATE TABLE attribute (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (kind, name, value, key)
) WITHOUT ROWID;
CREATE INDEX attribute_by_key ON attribute (key);

-- Every value an entry ever had.
CREATE TABLE history (
  key TEXT NOT NULL,
  block INTEGER NOT NULL,
  number INTEGER NOT NULL,
  transaction_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT,
  at TEXT NOT NULL,
  PRIMARY KEY (key, block, number)
) WITHOUT ROWID;
