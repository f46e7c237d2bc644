-- How a submission ended is kept in the services' terms: `recorded`, or the category of its failure (`Category` in
-- gateway/services/failures.py). The answer is what the transaction recorded, or the failure's detail, code, retryable
-- and facts. Rows from before this held an HTTP answer: its status, and a problem in the body where it was a failure.
ALTER TABLE submission ADD COLUMN disposition TEXT;
UPDATE submission SET disposition = CASE
  WHEN status < 400 THEN 'recorded'
  WHEN status = 400 THEN 'unreadable'
  WHEN status = 401 THEN 'unidentified'
  WHEN status = 403 THEN 'forbidden'
  WHEN status = 404 THEN 'not-found'
  WHEN status = 409 THEN 'conflict'
  WHEN status = 413 THEN 'too-large'
  WHEN status = 422 THEN 'unacceptable'
  WHEN status = 429 THEN 'too-many'
  WHEN status = 502 THEN 'network'
  WHEN status = 503 THEN 'unavailable'
  WHEN status = 504 THEN 'timed-out'
  WHEN status = 507 THEN 'full'
  ELSE 'fault'
END WHERE status IS NOT NULL;
UPDATE submission SET body = json_remove(body, '$.type', '$.title', '$.status') WHERE status >= 400;
ALTER TABLE submission RENAME COLUMN body TO answer;
ALTER TABLE submission DROP COLUMN status;
ALTER TABLE submission DROP COLUMN success;
