-- A request and its answer belong to one chain, named by the header hash of its first block: what was recorded on a
-- network that was made anew since then is not an answer on this one. Rows from before this column are of the present one.
ALTER TABLE submission RENAME TO former;
DROP INDEX submission_unfinished;
CREATE TABLE submission (
  chain TEXT NOT NULL,
  id TEXT NOT NULL,
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
  PRIMARY KEY (chain, id),
  UNIQUE (chain, client, key)
) WITHOUT ROWID;
CREATE INDEX submission_unfinished ON submission (chain, state) WHERE state <> 'final';
INSERT INTO submission SELECT '', former.* FROM former;
DROP TABLE former;
