-- Reads that had no transaction each, in the order in which they were kept; `batch` is the list that one is in, NULL
-- while it waits for one, and `place` its index there.
CREATE TABLE access_read (
  key INTEGER PRIMARY KEY,
  grant_name TEXT NOT NULL,
  leaf BLOB NOT NULL,
  batch INTEGER,
  place INTEGER
);
CREATE INDEX access_read_by_batch ON access_read (batch, place);
CREATE INDEX access_read_by_grant ON access_read (grant_name, key);
-- Lists of reads; `anchored` is 1 where the ledger has it.
CREATE TABLE access_batch (
  number INTEGER PRIMARY KEY,
  root BLOB NOT NULL,
  size INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  anchored INTEGER NOT NULL
);
CREATE INDEX access_batch_open ON access_batch (anchored, number);
