-- Every transaction of every block, in their order: who did what, and whether it held. An id may be there several times,
-- since anybody may order invalid transactions under any id. Words that come again and again are kept once.
CREATE TABLE term (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  UNIQUE (kind, text)
);
CREATE TABLE deed (
  place INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  block INTEGER NOT NULL,
  number INTEGER NOT NULL,
  code INTEGER NOT NULL,
  at INTEGER,
  validity INTEGER NOT NULL,
  organisation INTEGER,
  subject INTEGER,
  certificate INTEGER,
  client INTEGER,
  chaincode INTEGER,
  function INTEGER,
  event INTEGER,
  endorsers INTEGER,
  about TEXT NOT NULL
);
CREATE UNIQUE INDEX deed_by_block ON deed (block, number);
CREATE INDEX deed_by_time ON deed (at, place) WHERE at IS NOT NULL;
CREATE INDEX deed_by_organisation ON deed (organisation, place);
CREATE INDEX deed_by_subject ON deed (subject, place);
CREATE INDEX deed_by_client ON deed (client, place) WHERE client IS NOT NULL;
CREATE INDEX deed_by_function ON deed (function, place);
CREATE INDEX deed_refused ON deed (place) WHERE code <> 0;

-- By which references transactions are found.
CREATE TABLE deed_about (
  reference TEXT NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (reference, place)
) WITHOUT ROWID;

-- Everything is read again, from the first block.
DELETE FROM attribute;
DELETE FROM block_time;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM lapse;
DELETE FROM ledger_transaction;
DELETE FROM channel_config;
DELETE FROM log_entry;
DELETE FROM log_tile;
UPDATE position SET height = 0, hash = NULL, genesis = NULL, places = 0, logged = 0;
