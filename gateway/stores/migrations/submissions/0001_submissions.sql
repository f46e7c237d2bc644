-- Every submission and the idempotency key that names it; rows that are not final are finished after a restart.
CREATE TABLE submission (
  id TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  function TEXT NOT NULL,
  command TEXT NOT NULL,
  success INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('accepted', 'prepared', 'final')),
  attempt INTEGER NOT NULL,
  created REAL NOT NULL,
  organisations TEXT NOT NULL,
  transaction_id TEXT,
  envelope BLOB,
  reply TEXT,
  status INTEGER,
  body TEXT,
  height INTEGER,
  UNIQUE (client, key)
) WITHOUT ROWID;
CREATE INDEX submission_unfinished ON submission (state) WHERE state <> 'final';
