-- How long a credential counts, the secret before the last renewal and until when it counts beside the new one, and
-- what the certificate of a client is known by that has no secret: its digest is empty then, which no secret has.
ALTER TABLE api_key ADD COLUMN expires REAL;
ALTER TABLE api_key ADD COLUMN former_digest BLOB;
ALTER TABLE api_key ADD COLUMN former_until REAL;
ALTER TABLE api_key ADD COLUMN certificate TEXT;
CREATE UNIQUE INDEX api_key_certificate ON api_key (certificate) WHERE revoked IS NULL;
