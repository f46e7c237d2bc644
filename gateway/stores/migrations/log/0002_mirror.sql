-- The checkpoint that was cosigned last, with the log's signature; NULL where it was kept before there were mirrors, or
-- where it is the head that our own blocks gave when the log first came.
ALTER TABLE witnessed ADD COLUMN note BLOB;

-- The checkpoints up to which this gateway said to mirror a log; each note has the mirror's cosignatures.
CREATE TABLE mirrored (
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  note BLOB NOT NULL
);
