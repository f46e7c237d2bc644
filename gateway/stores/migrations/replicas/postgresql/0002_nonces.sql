-- Nonces of signed requests that were used, each by the SHA-256 of its client and itself, for as long as such a signature
-- counts. Gateways of the version before do not look here.
CREATE TABLE nonce (
  name BYTEA PRIMARY KEY,
  until TIMESTAMPTZ NOT NULL
);
CREATE INDEX nonce_by_until ON nonce (until);
