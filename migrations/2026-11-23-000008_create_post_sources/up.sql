CREATE TABLE post_sources (
    post_id bigint PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    format text NOT NULL,
    reader_version integer NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    bytes bytea NOT NULL
);
COMMENT ON TABLE post_sources IS 'What a post was read from, kept for ever beside it.';
COMMENT ON COLUMN post_sources.sha256 IS 'Of the uncompressed bytes.';
COMMENT ON COLUMN post_sources.bytes IS 'Compressed with zstd.';
