-- What is kept of a data set is sealed under a data key of its own (stores/recordseals.py), which is wrapped under the
-- organisation's key-encryption key; NULL where it was destroyed. Sets from before have none until the store is opened.
CREATE TABLE data_key (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  dataset TEXT NOT NULL,
  wrapped BLOB
);
CREATE INDEX data_key_by_dataset ON data_key (dataset, key);
ALTER TABLE record_set ADD COLUMN data_key INTEGER REFERENCES data_key (key);
CREATE INDEX record_set_by_data_key ON record_set (data_key);
