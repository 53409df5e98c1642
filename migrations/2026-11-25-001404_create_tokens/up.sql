CREATE TABLE tokens (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint REFERENCES accounts (id) ON DELETE CASCADE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX tokens_account ON tokens (account_id);
COMMENT ON TABLE tokens IS 'What lets programs in. The token itself is shown once and not kept.';
COMMENT ON COLUMN tokens.account_id IS 'The account that it is for; NULL: the whole server.';
COMMENT ON COLUMN tokens.sha256 IS 'Of the token''s text. It is random, so that nobody can try them all.';
COMMENT ON COLUMN tokens.used_at IS 'When it last let somebody in, give or take a minute.';
