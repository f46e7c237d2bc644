-- Quarantines that end by themselves: when (milliseconds since 1970), the stage that follows, and whether they have ended
-- by the time of the last block, by which lists filtered by stage are judged.
CREATE TABLE lapse (
  artifact TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  after TEXT NOT NULL,
  ended INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX lapse_by_time ON lapse (ended, at);

-- Everything is read again, from the first block.
DELETE FROM attribute;
DELETE FROM block_time;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
DELETE FROM channel_config;
DELETE FROM log_entry;
DELETE FROM log_tile;
UPDATE position SET height = 0, hash = NULL, genesis = NULL, places = 0, logged = 0;
