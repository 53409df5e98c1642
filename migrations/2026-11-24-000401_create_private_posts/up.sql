CREATE TABLE private_posts (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    identity bytea NOT NULL CHECK (length(identity) = 32),
    source_name bytea NOT NULL CHECK (length(source_name) = 32),
    format text NOT NULL,
    reader_version integer NOT NULL,
    key_name bytea NOT NULL CHECK (length(key_name) = 32),
    files text[] NOT NULL,
    files_missing smallint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (account_id, identity)
);
COMMENT ON TABLE private_posts IS 'Posts that were not for everyone, sealed with the key of secrets.key_file. Nothing public refers to this table, and it refers to nothing but the account.';
COMMENT ON COLUMN private_posts.identity IS 'HMAC-SHA256 of the source key: the same post is found again, and nobody without the key learns which it is.';
COMMENT ON COLUMN private_posts.source_name IS 'HMAC-SHA256 of the source''s bytes: tells whether they changed and not what they are.';
COMMENT ON COLUMN private_posts.key_name IS 'HMAC-SHA256 of nothing: tells whether a key is the one that sealed the row, and not what it is.';
COMMENT ON COLUMN private_posts.files IS 'Names of its sealed files in data_dir/private/<account_id>.';
COMMENT ON COLUMN private_posts.files_missing IS 'How many of its media could not be had.';
COMMENT ON COLUMN private_posts.sealed IS 'AES-256-GCM, bound to account and identity: nonce, ciphertext, tag.';
