CREATE TABLE followers (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    actor_id bigint NOT NULL REFERENCES remote_actors (id) ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('requested', 'accepted')),
    follow_uri text NOT NULL,
    follow text NOT NULL,
    created_at timestamptz NOT NULL,
    accepted_at timestamptz,
    UNIQUE (account_id, actor_id)
);
CREATE INDEX followers_actor ON followers (actor_id);
COMMENT ON TABLE followers IS 'Who follows our accounts, and who has asked to.';
COMMENT ON COLUMN followers.follow_uri IS 'Id of the Follow that counts: the last one that came.';
COMMENT ON COLUMN followers.follow IS 'That Follow as it came, which is what an Accept or Reject embeds.';
