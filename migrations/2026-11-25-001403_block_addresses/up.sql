ALTER TABLE blocks
    DROP CONSTRAINT blocks_kind_check,
    ADD CONSTRAINT blocks_kind_check CHECK (kind IN ('domain', 'actor', 'address'));
CREATE INDEX remote_actors_handle ON remote_actors (lower(handle));
COMMENT ON COLUMN blocks.target IS 'A domain, which stands for its subdomains too; the id of an actor; or user@domain of one whose id is not known. Lower case but for ids.';
