ALTER TABLE activities DROP COLUMN signed_by;
