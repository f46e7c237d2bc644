-- What these gateways refused, as in SQLite.
CREATE TABLE entry (
  number BIGINT PRIMARY KEY,
  content BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  at BIGINT NOT NULL,
  client TEXT COLLATE "C",
  operation TEXT COLLATE "C",
  outcome TEXT COLLATE "C" NOT NULL,
  code TEXT COLLATE "C" NOT NULL,
  target TEXT COLLATE "C"
);
CREATE TABLE anchor (
  number BIGINT PRIMARY KEY,
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  transaction_id TEXT COLLATE "C",
  block BIGINT
);
