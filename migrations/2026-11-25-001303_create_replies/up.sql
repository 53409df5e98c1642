CREATE TABLE replies (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    actor_id bigint NOT NULL REFERENCES remote_actors (id) ON DELETE CASCADE,
    uri text NOT NULL UNIQUE,
    answers_uri text NOT NULL,
    depth smallint NOT NULL CHECK (depth BETWEEN 1 AND 100),
    page text,
    content_html text NOT NULL,
    warning text,
    language text,
    published_at timestamptz NOT NULL,
    updated_at timestamptz,
    received_at timestamptz NOT NULL
);
CREATE INDEX replies_post ON replies (post_id, published_at, id);
CREATE INDEX replies_actor ON replies (actor_id);
COMMENT ON TABLE replies IS 'What actors of other servers answered to our posts, for everyone to read: only what is public or unlisted.';
COMMENT ON COLUMN replies.post_id IS 'The post of ours that it stands below: the one that it answers, or that its parents answer.';
COMMENT ON COLUMN replies.answers_uri IS 'Id of what it answers: the post, or another reply, which may be gone.';
COMMENT ON COLUMN replies.depth IS 'How many steps it is below the post.';
COMMENT ON COLUMN replies.updated_at IS 'When its author last changed it, as they say; what is older than this is not taken.';
