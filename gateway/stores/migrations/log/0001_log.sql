-- What cannot be built again from blocks: the heads that this gateway signed, as a log and as a witness of others.
CREATE TABLE signed (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  root BLOB NOT NULL
);

-- Checkpoints that were given out; `witnesses` are names, one a line.
CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  root BLOB NOT NULL,
  note BLOB NOT NULL,
  witnesses TEXT NOT NULL
);

CREATE TABLE witnessed (
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL
);

-- Checkpoints that were refused because they fork a log: evidence of it.
CREATE TABLE refusal (
  id INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  at REAL NOT NULL,
  why TEXT NOT NULL,
  note BLOB NOT NULL
);
