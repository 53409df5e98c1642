CREATE TABLE posts (
    id bigint PRIMARY KEY CHECK (id > 0),
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    source_key text NOT NULL,
    source_object_id text,
    source_object_id_stated boolean NOT NULL DEFAULT false,
    canonical_url text,
    visibility text NOT NULL CHECK (visibility IN ('public', 'unlisted')),
    published_at timestamptz NOT NULL,
    date_origin text NOT NULL CHECK (date_origin IN ('front_matter', 'status_id', 'estimated')),
    updated_at timestamptz,
    content_html text NOT NULL,
    warning text,
    sensitive boolean NOT NULL DEFAULT false,
    language text,
    tags text[] NOT NULL DEFAULT '{}',
    reply_to_key text,
    reply_to_id bigint REFERENCES posts (id) ON DELETE SET NULL,
    to_others boolean NOT NULL,
    context_id bigint NOT NULL REFERENCES contexts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    exposed_at timestamptz,
    withdrawn_at timestamptz,
    awaited boolean NOT NULL DEFAULT false,
    UNIQUE (account_id, source_key),
    CHECK (withdrawn_at IS NULL OR content_html = ''),
    CHECK (NOT awaited OR withdrawn_at IS NOT NULL)
);
CREATE INDEX posts_outbox ON posts (account_id, published_at DESC, id DESC)
    WHERE withdrawn_at IS NULL AND NOT to_others;
CREATE INDEX posts_context ON posts (context_id, published_at, id);
CREATE INDEX posts_reply_to ON posts (reply_to_id);
CREATE INDEX posts_orphans ON posts (account_id, reply_to_key) WHERE reply_to_key IS NOT NULL AND reply_to_id IS NULL;
CREATE INDEX posts_tags ON posts USING gin (tags);
COMMENT ON TABLE posts IS 'Posts, public or unlisted. A post for fewer people has no place in this table.';
COMMENT ON COLUMN posts.id IS 'The number in its URL: the source''s status id where that can be trusted and is free, else minted.';
COMMENT ON COLUMN posts.source_key IS 'mastodon:<host>:<status id>, else the normalised canonical URL.';
COMMENT ON COLUMN posts.published_at IS 'Its own date, to the millisecond.';
COMMENT ON COLUMN posts.tags IS 'Hashtags without #, in lower case.';
COMMENT ON COLUMN posts.reply_to_key IS 'What it answers at the source; reply_to_id is that post once we have it.';
COMMENT ON COLUMN posts.to_others IS 'Its conversation begins with a reply to a post that is not here: such posts are kept and not published.';
COMMENT ON COLUMN posts.exposed_at IS 'When it first answered under a name that is for ever: from then on its date is fixed.';
COMMENT ON COLUMN posts.withdrawn_at IS 'Set: it answers 410 and its content is gone.';
COMMENT ON COLUMN posts.awaited IS 'Withdrawn, but its next import may bring it back.';
