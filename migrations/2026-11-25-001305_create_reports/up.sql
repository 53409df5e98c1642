CREATE TABLE reports (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    actor_id bigint NOT NULL REFERENCES remote_actors (id) ON DELETE CASCADE,
    objects text[] NOT NULL,
    content text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX reports_account ON reports (account_id, id);
CREATE INDEX reports_actor ON reports (actor_id);
COMMENT ON TABLE reports IS 'What others report to the owner of an account (Flag).';
COMMENT ON COLUMN reports.actor_id IS 'Who sent it: most servers send it as their server actor, to keep the reporter unnamed.';
COMMENT ON COLUMN reports.objects IS 'Ids of what it is about: the account and posts of it.';
