ALTER TABLE contexts DROP COLUMN kept;
ALTER TABLE posts DROP COLUMN touched_by, DROP COLUMN import_id;
