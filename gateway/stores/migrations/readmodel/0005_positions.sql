-- Attributes in ledger order: a page of a filtered list is one walk along this key, from the page before to its limit,
-- and never a sort of all that match.
DROP TABLE attribute;
CREATE TABLE attribute (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  position TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (kind, name, value, position)
) WITHOUT ROWID;
CREATE INDEX attribute_by_key ON attribute (key);

-- The attributes are read again with everything else, from the first block.
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
DELETE FROM channel_config;
UPDATE position SET height = 0, hash = NULL, genesis = NULL;
