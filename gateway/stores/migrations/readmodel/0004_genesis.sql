-- Which chain this is: the header hash of its first block.
ALTER TABLE position ADD COLUMN genesis TEXT;

-- What was read before is read again, from that block.
DELETE FROM attribute;
DELETE FROM channel_config;
DELETE FROM entry;
DELETE FROM history;
DELETE FROM ledger_transaction;
UPDATE position SET height = 0, hash = NULL;
