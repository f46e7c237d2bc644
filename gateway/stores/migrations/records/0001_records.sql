-- The owner's own copy of committed records with their salts. It never leaves this organisation except record by
-- record, as proofs that the owner hands out. Rows are named by the root that they are under.
CREATE TABLE record (
  root TEXT NOT NULL,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  salt BLOB NOT NULL,
  content BLOB NOT NULL,
  consent INTEGER NOT NULL,
  purposes INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  PRIMARY KEY (root, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX record_by_id ON record (root, id);
