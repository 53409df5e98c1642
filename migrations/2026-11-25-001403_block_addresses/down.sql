DROP INDEX remote_actors_handle;
DELETE FROM blocks WHERE kind = 'address';
ALTER TABLE blocks
    DROP CONSTRAINT blocks_kind_check,
    ADD CONSTRAINT blocks_kind_check CHECK (kind IN ('domain', 'actor'));
COMMENT ON COLUMN blocks.target IS 'A domain, which stands for its subdomains too, or the id of an actor. Lower case where it is a domain.';
