-- What was collected, in its order, until `collected` has it, where each reference has one value. Rows are only added at
-- the end: references come in no order, and writing each to its place would write a page of the file for each.
CREATE TABLE said (
  number INTEGER PRIMARY KEY,
  dataset INTEGER NOT NULL REFERENCES dataset (key),
  reference BLOB NOT NULL,
  value BLOB NOT NULL
);
