-- Whose record it is: the reference of the data subject, where the file said who that is.
ALTER TABLE record ADD COLUMN subject BLOB;
CREATE INDEX record_by_subject ON record (set_key, subject) WHERE subject IS NOT NULL;
