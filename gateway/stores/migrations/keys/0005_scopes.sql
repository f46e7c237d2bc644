-- What a client may do of what its role may, and whose records it may see: words with spaces between; all by default.
ALTER TABLE api_key ADD COLUMN scopes TEXT;
ALTER TABLE api_key ADD COLUMN owners TEXT;
