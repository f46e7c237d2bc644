-- Which fields of a command the gateway filled in, comma separated: those it may fill in again.
ALTER TABLE submission ADD COLUMN filled TEXT NOT NULL DEFAULT '';
