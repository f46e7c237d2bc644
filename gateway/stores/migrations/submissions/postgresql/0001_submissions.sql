-- Every submission and the idempotency key that names it, as in SQLite, and which gateway is at which key.
CREATE TABLE submission (
  chain TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  request_hash TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  command TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('accepted', 'prepared', 'final')),
  attempt BIGINT NOT NULL,
  created DOUBLE PRECISION NOT NULL,
  organisations TEXT COLLATE "C" NOT NULL,
  filled TEXT COLLATE "C" NOT NULL DEFAULT '',
  transaction_id TEXT COLLATE "C",
  envelope BYTEA,
  reply TEXT COLLATE "C",
  disposition TEXT COLLATE "C",
  answer TEXT COLLATE "C",
  height BIGINT,
  elsewhere BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (chain, id),
  UNIQUE (chain, client, key)
);
CREATE INDEX submission_unfinished ON submission (chain, state) WHERE state <> 'final';
-- A key that a gateway is at; `owner` is its number among the replicas. A gateway writes to a submission only while this
-- says that it is its own.
CREATE TABLE claim (
  chain TEXT COLLATE "C" NOT NULL,
  client TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  request_hash TEXT COLLATE "C" NOT NULL,
  owner BIGINT NOT NULL,
  PRIMARY KEY (chain, client, key)
);
