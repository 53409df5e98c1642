CREATE TABLE media (
    sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    extension text NOT NULL,
    media_type text NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE media IS 'Files in the media store that a post or a profile refers to. The bytes lie in the data folder.';
COMMENT ON COLUMN media.media_type IS 'From the bytes, never from a name.';
