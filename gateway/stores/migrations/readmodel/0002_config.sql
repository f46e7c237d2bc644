-- The channel's configuration as of the last applied block: who is a member, and who signs blocks. It moves together
-- with the position, so that after a restart the next block is judged by what held when it was ordered.
CREATE TABLE channel_config (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  block INTEGER NOT NULL,
  envelope BLOB NOT NULL
);

-- What was read before this table existed is read again, from the first block: only so is the configuration known
-- from blocks that were judged, and from nobody's word.
DELETE FROM attribute;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
UPDATE position SET height = 0, hash = NULL;
