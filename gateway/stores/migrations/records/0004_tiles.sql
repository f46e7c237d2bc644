-- What the leaves of a set say, and its tree in tiles of 128 hashes (services/tiles.py). Sets from before have none:
-- they are written when a proof is first asked for.
ALTER TABLE record_set ADD COLUMN leaf_schema TEXT NOT NULL DEFAULT 'pedigree-record/v1';
CREATE TABLE tile (
  set_key INTEGER NOT NULL REFERENCES record_set (key),
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (set_key, level, number)
) WITHOUT ROWID;
