ALTER TABLE keys ADD COLUMN shown boolean NOT NULL DEFAULT true;
UPDATE keys SET shown = false WHERE retired_at IS NOT NULL;
COMMENT ON COLUMN keys.shown IS 'Whether the actor shows its public half: the keys in force, and the Ed25519 key before, by which earlier proofs are verified.';
