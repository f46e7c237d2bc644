-- The sealed blobs of published versions, each with its data key under the organisation's key-encryption key. The last
-- one of a root is the one that is given out.
CREATE TABLE publication (
  key INTEGER PRIMARY KEY,
  blob_id BLOB NOT NULL UNIQUE,
  root TEXT NOT NULL,
  dataset TEXT NOT NULL,
  number INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  digest TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  at REAL NOT NULL
);
CREATE INDEX publication_by_root ON publication (root, key);
