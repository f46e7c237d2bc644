-- Which gateway builds a map that has no root yet: the others leave it alone for as long as that one lives. Gateways of the
-- version before name none.
ALTER TABLE map ADD COLUMN replica BIGINT;
ALTER TABLE map ALTER COLUMN replica SET DEFAULT nullif(current_setting('pedigree.replica', true), '')::BIGINT;
