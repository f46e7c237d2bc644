-- What the signatures of a client that signs its requests are verified with (SubjectPublicKeyInfo, DER).
ALTER TABLE api_key ADD COLUMN public_key BYTEA;
