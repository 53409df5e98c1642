CREATE TABLE remote_actors (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    uri text NOT NULL UNIQUE,
    host text NOT NULL,
    kind text NOT NULL,
    handle text,
    name text NOT NULL,
    page text,
    inbox text NOT NULL,
    shared_inbox text,
    followers text,
    keys jsonb NOT NULL,
    also_known_as text[] NOT NULL,
    moved_to text,
    fetched_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX remote_actors_host ON remote_actors (host);
COMMENT ON TABLE remote_actors IS 'Actors of other servers, as they told of themselves when they were last fetched.';
COMMENT ON COLUMN remote_actors.host IS 'Host of the uri in lower case, with its port where there is one: what blocks and limits go by.';
COMMENT ON COLUMN remote_actors.handle IS 'user@domain as it is shown; not verified by WebFinger.';
COMMENT ON COLUMN remote_actors.keys IS 'Array of [id, text]: a PEM or a Multikey.';
