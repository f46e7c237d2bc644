-- References that another gateway of the organisation brought into the map: their subjects' ids are not here.
CREATE TABLE stranger (
  dataset INTEGER NOT NULL REFERENCES dataset (key),
  reference BLOB NOT NULL,
  PRIMARY KEY (dataset, reference)
) WITHOUT ROWID;
