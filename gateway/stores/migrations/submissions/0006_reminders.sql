-- What this organisation was reminded of, by number. `ended_at` is NULL while it is due, and `logged` is 1 once its line was
-- written to the log. Times are milliseconds since 1970.
CREATE TABLE reminder (
  number INTEGER PRIMARY KEY,
  chain TEXT NOT NULL,
  kind TEXT NOT NULL,
  artifact TEXT NOT NULL,
  stage TEXT NOT NULL,
  owner TEXT NOT NULL,
  ends_at INTEGER,
  at INTEGER NOT NULL,
  ended_at INTEGER,
  logged INTEGER NOT NULL
);
CREATE INDEX reminder_due ON reminder (chain, number) WHERE ended_at IS NULL;
CREATE INDEX reminder_unlogged ON reminder (chain, number) WHERE logged = 0;
