ALTER TABLE posts
    ADD COLUMN import_id bigint REFERENCES imports (id) ON DELETE SET NULL,
    ADD COLUMN touched_by bigint REFERENCES imports (id) ON DELETE SET NULL;
CREATE INDEX posts_import ON posts (import_id, id) WHERE import_id IS NOT NULL;
CREATE INDEX posts_touched_by ON posts (touched_by) WHERE touched_by IS NOT NULL;
ALTER TABLE contexts ADD COLUMN kept boolean NOT NULL DEFAULT false;
CREATE INDEX contexts_kept ON contexts (id) WHERE kept;
COMMENT ON COLUMN posts.import_id IS 'The import that made it; null for posts that came before imports were noted.';
COMMENT ON COLUMN posts.touched_by IS 'The last import that wrote over it; null while it is as it was made.';
COMMENT ON COLUMN contexts.kept IS 'A post that was seen was once in it: its URL answers for ever, also when it is empty.';
