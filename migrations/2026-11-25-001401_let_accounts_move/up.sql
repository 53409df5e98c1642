ALTER TABLE accounts
    ADD COLUMN also_known_as text[] NOT NULL DEFAULT '{}',
    ADD COLUMN moved_to text,
    ADD COLUMN moved_at timestamptz,
    ADD CONSTRAINT accounts_moved CHECK (moved_to IS NULL OR moved_at IS NOT NULL);
COMMENT ON COLUMN accounts.also_known_as IS 'Ids of actors that its owner says are theirs too; the source actor is not among them.';
COMMENT ON COLUMN accounts.moved_to IS 'Id of the actor that it has moved to.';
COMMENT ON COLUMN accounts.moved_at IS 'When it moved last; stays when that is taken back, because another move has to wait.';
