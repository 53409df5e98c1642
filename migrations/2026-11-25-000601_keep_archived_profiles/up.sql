ALTER TABLE accounts ADD COLUMN archived_profile jsonb;
COMMENT ON COLUMN accounts.archived_profile IS 'What the last archive told of the account at its source, and under "given" what archives filled in here: what its owner changed since is no longer equal to that, and no import touches it.';
