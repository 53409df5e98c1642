ALTER TABLE accounts
    DROP CONSTRAINT accounts_moved,
    DROP COLUMN also_known_as,
    DROP COLUMN moved_to,
    DROP COLUMN moved_at;
