-- How many requests a client may make in how many seconds, such as 600/60, where that is its own.
ALTER TABLE api_key ADD COLUMN rate TEXT;
