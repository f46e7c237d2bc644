-- The stages of artifacts in the order of blocks, so that what was written since a height is found without the rest.
CREATE INDEX history_of_stages ON history (block, number) WHERE kind = 'artifact-stage';
