CREATE TABLE fetches (
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    host text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    times bigint NOT NULL,
    PRIMARY KEY (post_id, host)
);
COMMENT ON TABLE fetches IS 'Which server has fetched which post, proven by the signatures of its requests. Only servers of followers are counted.';
COMMENT ON COLUMN fetches.host IS 'Host of the actor whose key signed, as remote_actors.host.';
COMMENT ON COLUMN fetches.times IS 'How often. Some are not counted when very many come at once.';
