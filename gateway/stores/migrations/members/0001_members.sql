-- Which records of a version a selection has: a bit for each, under the root of the version's records and the root of
-- the selection (both in hex). What is here is true by itself, so nothing is ever changed or taken back.
CREATE TABLE selected (
  key INTEGER PRIMARY KEY,
  records TEXT NOT NULL,
  root TEXT NOT NULL,
  bits BLOB NOT NULL,
  UNIQUE (records, root)
);
-- The selection's tree above its leaves, which are with the records: 128 hashes or fewer, from index 128 * number on.
CREATE TABLE tile (
  selected INTEGER NOT NULL REFERENCES selected (key),
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (selected, level, number)
);
