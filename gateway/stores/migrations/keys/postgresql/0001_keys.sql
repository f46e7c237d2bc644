-- API keys: only the digest of a secret is kept.
CREATE TABLE api_key (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL UNIQUE,
  role TEXT COLLATE "C" NOT NULL CHECK (role IN ('reader', 'recorder', 'endorser', 'operator')),
  digest BYTEA NOT NULL,
  created DOUBLE PRECISION NOT NULL,
  revoked DOUBLE PRECISION
);
