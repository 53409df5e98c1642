CREATE TABLE errands (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('reply', 'actor')),
    url text NOT NULL,
    host text NOT NULL,
    cause text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    UNIQUE (kind, url)
);
CREATE INDEX errands_due ON errands (due_at);
CREATE INDEX errands_host ON errands (host);
CREATE INDEX errands_cause ON errands (cause);
COMMENT ON TABLE errands IS 'What has to be fetched because of something that was received. Leased, done, deleted; no transaction is open meanwhile.';
COMMENT ON COLUMN errands.kind IS 'reply: the object may answer one of our posts; actor: it has changed.';
COMMENT ON COLUMN errands.host IS 'Host of the url: how many may wait for one host is bounded.';
COMMENT ON COLUMN errands.cause IS 'Host of whoever made us want it: how many each may cause is bounded.';
