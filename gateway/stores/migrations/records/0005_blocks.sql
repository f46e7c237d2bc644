-- Records that follow one another are in blocks of some hundred (stores/recordblocks.py), and where a record is, by its
-- id or its subject, is in sorted runs of keyed hashes, cut into buckets (stores/recordindex.py). The rows of former
-- sets are packed when the store is opened (stores/recordpacking.py), which drops their table in the end.
ALTER TABLE record_set ADD COLUMN hash_key BLOB;
CREATE TABLE record_block (
  set_key INTEGER NOT NULL REFERENCES record_set (key),
  start INTEGER NOT NULL,
  size INTEGER NOT NULL,
  heads BLOB NOT NULL,
  contents BLOB NOT NULL,
  PRIMARY KEY (set_key, start)
);
CREATE TABLE record_index (
  set_key INTEGER NOT NULL REFERENCES record_set (key),
  kind INTEGER NOT NULL,
  run INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  entries BLOB NOT NULL,
  PRIMARY KEY (set_key, kind, run, bucket)
) WITHOUT ROWID;
