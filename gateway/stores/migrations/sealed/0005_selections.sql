-- The selection whose records a blob has; NULL where it has all of the version. The last one of a root, data set, number
-- and selection is the one that is given out.
ALTER TABLE publication ADD COLUMN selection TEXT;
