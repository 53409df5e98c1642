ALTER TABLE activities DROP COLUMN expires_at;
