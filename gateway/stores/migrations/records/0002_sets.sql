-- Records are in sets. A set is written piece by piece and seen by nobody until it is given its root; then it says
-- how its file was read, too.
CREATE TABLE record_set (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  root TEXT UNIQUE,
  dataset TEXT NOT NULL,
  size INTEGER NOT NULL,
  created REAL NOT NULL,
  reading TEXT
);
INSERT INTO record_set (root, dataset, size, created)
  SELECT root, '', count(*), CAST(strftime('%s', 'now') AS REAL) FROM record GROUP BY root ORDER BY root;

CREATE TABLE kept_record (
  set_key INTEGER NOT NULL REFERENCES record_set (key),
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  salt BLOB NOT NULL,
  content BLOB NOT NULL,
  consent INTEGER NOT NULL,
  purposes INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  PRIMARY KEY (set_key, position)
) WITHOUT ROWID;
INSERT INTO kept_record
  SELECT record_set.key, position, id, salt, content, consent, purposes, leaf
  FROM record JOIN record_set ON record_set.root = record.root ORDER BY record_set.key, position;
DROP TABLE record;
ALTER TABLE kept_record RENAME TO record;
CREATE UNIQUE INDEX record_by_id ON record (set_key, id);
