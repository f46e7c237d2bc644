-- Which bytes of a delivery were given out. A row is written before any of its bytes is sent and says how far they may
-- go; `state` is 0 while they are sent, 1 when they were, and 2 where the process died before it could say.
CREATE TABLE given (
  key INTEGER PRIMARY KEY,
  delivery INTEGER NOT NULL REFERENCES delivery (key) ON DELETE CASCADE,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  state INTEGER NOT NULL
);
CREATE INDEX given_by_delivery ON given (delivery, state);
CREATE INDEX delivery_by_until ON delivery (outcome, until);
