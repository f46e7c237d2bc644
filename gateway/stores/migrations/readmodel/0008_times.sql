-- The time of each block in which the chaincode wrote: the latest that one of its transactions claims and that their
-- endorsers compared with their clocks, in milliseconds since 1970. Quarantines lapse by it where a height is asked for.
CREATE TABLE block_time (
  block INTEGER PRIMARY KEY,
  at INTEGER NOT NULL
);
-- The marks of withdrawals in the order of blocks, as the stages of artifacts.
CREATE INDEX history_of_marks ON history (block, number) WHERE kind = 'selection-mark';

-- Everything is read again, from the first block.
DELETE FROM attribute;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
DELETE FROM channel_config;
UPDATE position SET height = 0, hash = NULL, genesis = NULL, places = 0;
