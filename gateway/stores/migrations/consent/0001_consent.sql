-- What a controller keeps of its consent maps. Subject ids and their references never leave this organisation; only
-- references, which say nothing about anyone, are sent to the ledger.
CREATE TABLE dataset (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);
CREATE TABLE subject (
  dataset INTEGER NOT NULL REFERENCES dataset (key),
  id TEXT NOT NULL,
  reference BLOB NOT NULL,
  PRIMARY KEY (dataset, id)
) WITHOUT ROWID;
-- What was collected and is in no map yet.
CREATE TABLE collected (
  dataset INTEGER NOT NULL REFERENCES dataset (key),
  reference BLOB NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (dataset, reference)
) WITHOUT ROWID;
-- A map as it would be opened, by its root; it has none while it is being built. `head` is the last of its versions
-- that the ledger is known to hold, and 0 where the ledger is not known to hold any.
CREATE TABLE map (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  dataset INTEGER NOT NULL REFERENCES dataset (key),
  root BLOB,
  size INTEGER NOT NULL,
  head INTEGER NOT NULL DEFAULT 0,
  UNIQUE (dataset, root)
);
CREATE UNIQUE INDEX map_of_dataset ON map (dataset) WHERE head > 0;
-- A subject's value from a version on; nothing here is ever changed.
CREATE TABLE leaf (
  map INTEGER NOT NULL REFERENCES map (key),
  reference BLOB NOT NULL,
  version INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (map, reference, version)
) WITHOUT ROWID;
-- The subtrees below the first bits of a reference, each from a version on.
CREATE TABLE subtree (
  map INTEGER NOT NULL REFERENCES map (key),
  place INTEGER NOT NULL,
  version INTEGER NOT NULL,
  hash BLOB NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (map, place, version)
) WITHOUT ROWID;
CREATE TABLE version (
  map INTEGER NOT NULL REFERENCES map (key),
  number INTEGER NOT NULL,
  root BLOB NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (map, number)
) WITHOUT ROWID;
-- Changes that the ledger may come to hold as the version after `base`, by the root that they lead to. They are here
-- before the ledger is asked, and go once it holds that version, with them or with others.
CREATE TABLE draft (
  map INTEGER NOT NULL REFERENCES map (key),
  base INTEGER NOT NULL,
  root BLOB NOT NULL,
  changes BLOB NOT NULL,
  PRIMARY KEY (map, base, root)
) WITHOUT ROWID;
