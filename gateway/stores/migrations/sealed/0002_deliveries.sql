-- Who came for what was published, what they were given, and how it ended. `token` is the SHA-256 of what lets them read
-- it; NULL where nothing was given out.
CREATE TABLE delivery (
  key INTEGER PRIMARY KEY,
  attempt TEXT NOT NULL,
  organisation TEXT NOT NULL,
  signer TEXT NOT NULL,
  nonce TEXT NOT NULL,
  at REAL NOT NULL,
  token BLOB UNIQUE,
  blob_id BLOB NOT NULL,
  total INTEGER NOT NULL,
  until REAL NOT NULL,
  sent INTEGER NOT NULL,
  outcome TEXT NOT NULL
);
CREATE INDEX delivery_by_attempt ON delivery (attempt, outcome);
-- Nonces of statements that were taken, for as long as a statement with them would be fresh.
CREATE TABLE nonce (
  organisation TEXT NOT NULL,
  value TEXT NOT NULL,
  until REAL NOT NULL,
  PRIMARY KEY (organisation, value)
);
CREATE INDEX nonce_by_until ON nonce (until);
