ALTER TABLE accounts DROP COLUMN archived_profile;
