-- What this organisation was reminded of, as in SQLite.
CREATE TABLE reminder (
  number BIGINT PRIMARY KEY,
  chain TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  artifact TEXT COLLATE "C" NOT NULL,
  stage TEXT COLLATE "C" NOT NULL,
  owner TEXT COLLATE "C" NOT NULL,
  ends_at BIGINT,
  at BIGINT NOT NULL,
  ended_at BIGINT,
  logged BIGINT NOT NULL
);
CREATE INDEX reminder_due ON reminder (chain, number) WHERE ended_at IS NULL;
CREATE INDEX reminder_unlogged ON reminder (chain, number) WHERE logged = 0;
