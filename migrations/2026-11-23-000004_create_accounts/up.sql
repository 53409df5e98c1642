CREATE TABLE accounts (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    domain_id bigint NOT NULL REFERENCES domains (id) ON DELETE RESTRICT,
    handle text NOT NULL CHECK (handle ~ '^[a-z0-9_]{1,30}$'),
    handle_domain text NOT NULL,
    source_host text,
    source_user text,
    source_actor_id text,
    name text NOT NULL DEFAULT '',
    summary_html text NOT NULL DEFAULT '',
    fields jsonb NOT NULL DEFAULT '[]',
    avatar_sha256 text REFERENCES media (sha256) ON DELETE RESTRICT,
    header_sha256 text REFERENCES media (sha256) ON DELETE RESTRICT,
    settings jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'live', 'gone')),
    preview_token text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    exposed_at timestamptz,
    gone_at timestamptz,
    UNIQUE (domain_id, handle),
    CHECK ((source_host IS NULL) = (source_user IS NULL)),
    CHECK ((state = 'gone') = (gone_at IS NOT NULL))
);
CREATE INDEX accounts_source ON accounts (source_host, lower(source_user));
CREATE INDEX accounts_avatar ON accounts (avatar_sha256);
CREATE INDEX accounts_header ON accounts (header_sha256);
COMMENT ON TABLE accounts IS 'Our accounts: each is an actor that republishes an archive. Rows are never deleted, so that a handle is never given twice.';
COMMENT ON COLUMN accounts.handle_domain IS 'The domain in the handle; differs from the domain''s host for a split handle.';
COMMENT ON COLUMN accounts.source_user IS 'As the source spells it; compared without regard to case.';
COMMENT ON COLUMN accounts.fields IS 'Array of [name, value], plain text.';
COMMENT ON COLUMN accounts.settings IS 'Object of key to text; the keys are those of domain::settings.';
COMMENT ON COLUMN accounts.changed_at IS 'When the account or any of its posts last changed: Last-Modified of all its documents.';
