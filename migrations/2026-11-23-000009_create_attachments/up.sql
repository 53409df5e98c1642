CREATE TABLE attachments (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('image', 'video', 'audio')),
    media_sha256 text REFERENCES media (sha256) ON DELETE RESTRICT,
    alt text,
    source_url text NOT NULL,
    UNIQUE (post_id, position)
);
CREATE INDEX attachments_media ON attachments (media_sha256);
COMMENT ON TABLE attachments IS 'Pictures, films and sounds of posts, in order.';
COMMENT ON COLUMN attachments.media_sha256 IS 'Null while the file is missing.';
COMMENT ON COLUMN attachments.source_url IS 'What the source called it: a path or a URL.';
