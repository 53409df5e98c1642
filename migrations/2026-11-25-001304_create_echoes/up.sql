CREATE TABLE echoes (
    post_id bigint PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    likes bigint NOT NULL DEFAULT 0,
    boosts bigint NOT NULL DEFAULT 0,
    emoji bigint NOT NULL DEFAULT 0,
    replies bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL
);
COMMENT ON TABLE echoes IS 'How many reactions and replies a post has here. Kept with them in the same transactions.';
COMMENT ON COLUMN echoes.changed_at IS 'When any of them last came, changed or went. Only ever later, so a row stays when all are gone.';
