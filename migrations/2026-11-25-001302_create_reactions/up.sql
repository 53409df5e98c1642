CREATE TABLE reactions (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    actor_id bigint NOT NULL REFERENCES remote_actors (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('like', 'boost', 'emoji')),
    mark text NOT NULL DEFAULT '',
    emoji text,
    activity_uri text,
    created_at timestamptz NOT NULL,
    UNIQUE (post_id, actor_id, kind, mark)
);
CREATE INDEX reactions_actor ON reactions (actor_id, activity_uri);
COMMENT ON TABLE reactions IS 'Likes, boosts and emoji that actors of other servers gave to our posts.';
COMMENT ON COLUMN reactions.mark IS 'What tells one from another of the same kind by the same actor: the emoji of an emoji, else nothing.';
COMMENT ON COLUMN reactions.emoji IS 'The emoji, also of a like that carries one, as Misskey sends it.';
COMMENT ON COLUMN reactions.activity_uri IS 'Id of the last activity that said so, by which it may be taken back.';
