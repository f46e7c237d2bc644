-- What this gateway refused, one row for each entry of the audit log. `content` is the entry as it is hashed, and `hash`
-- its leaf's hash; the other columns repeat it for lists and filters. Times are milliseconds since 1970.
CREATE TABLE entry (
  number INTEGER PRIMARY KEY,
  content BLOB NOT NULL,
  hash BLOB NOT NULL,
  at INTEGER NOT NULL,
  client TEXT,
  operation TEXT,
  outcome TEXT NOT NULL,
  code TEXT NOT NULL,
  target TEXT
);
-- What was, or is to be, committed to on the ledger. `transaction_id` and `block` are NULL until it is there.
CREATE TABLE anchor (
  number INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  transaction_id TEXT,
  block INTEGER
);
