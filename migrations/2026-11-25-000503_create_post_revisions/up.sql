CREATE TABLE post_revisions (
    import_id bigint NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    post jsonb NOT NULL,
    attachments jsonb NOT NULL,
    source jsonb,
    source_bytes bytea,
    PRIMARY KEY (import_id, post_id),
    CHECK ((source IS NULL) = (source_bytes IS NULL))
);
CREATE INDEX post_revisions_post ON post_revisions (post_id, import_id);
COMMENT ON TABLE post_revisions IS 'Posts as they stood before an import wrote over them, whole, so that the import can be undone.';
COMMENT ON COLUMN post_revisions.import_id IS 'The import that wrote over it.';
COMMENT ON COLUMN post_revisions.post IS 'Its row in posts, column by column.';
COMMENT ON COLUMN post_revisions.attachments IS 'Its rows in attachments, in order.';
COMMENT ON COLUMN post_revisions.source IS 'Its row in post_sources but for the bytes; null where it had none.';
