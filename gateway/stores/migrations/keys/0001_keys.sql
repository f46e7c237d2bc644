-- API keys: only the digest of a secret is kept. Keys are random and long, so a fast hash is the right one.
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('reader', 'recorder', 'endorser', 'operator')),
  digest BLOB NOT NULL,
  created REAL NOT NULL,
  revoked REAL
) WITHOUT ROWID;
