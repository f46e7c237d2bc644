-- Whether another key than this gateway's signed the envelope.
ALTER TABLE submission ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
