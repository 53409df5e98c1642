CREATE TABLE offers (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    host text NOT NULL,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    inbox text NOT NULL,
    state text NOT NULL CHECK (state IN ('offered', 'removing', 'done')),
    outcome text CHECK (outcome IN ('fetched', 'unfetched', 'failed', 'known')),
    tries integer NOT NULL,
    add_uri text,
    remove_uri text,
    offered_at timestamptz NOT NULL,
    fetched_at timestamptz,
    removed_at timestamptz,
    UNIQUE (host, post_id),
    CHECK ((state = 'offered') = (outcome IS NULL))
);
CREATE INDEX offers_account ON offers (account_id, host);
CREATE INDEX offers_post ON offers (post_id);
CREATE INDEX offers_open ON offers (host) WHERE state <> 'done';
COMMENT ON TABLE offers IS 'Old posts that servers were offered (decision 0026): an Add is sent, the server fetches the post, and a Remove follows.';
COMMENT ON COLUMN offers.inbox IS 'Where the Add went; its Remove goes there too. Empty for a post that the server had already.';
COMMENT ON COLUMN offers.state IS 'offered: the Add is on its way or has arrived. removing: the Remove is on its way. done: nothing is left to do.';
COMMENT ON COLUMN offers.outcome IS 'fetched, unfetched: whether the server came for it. failed: the Add did not arrive, as far as is known. known: the server had it before.';
COMMENT ON COLUMN offers.tries IS 'How often it was offered: one that failed is offered again.';
COMMENT ON COLUMN offers.add_uri IS 'Id of the last Add, which activities and deliveries go by.';
COMMENT ON COLUMN offers.fetched_at IS 'When it was noticed that the server has fetched it.';
COMMENT ON COLUMN offers.removed_at IS 'When the last Remove was enqueued.';
CREATE TABLE backfill_stops (
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    host text NOT NULL,
    stopped_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, host)
);
COMMENT ON TABLE backfill_stops IS 'Servers to which an account offers nothing any more, because they were blocked; lifting the block changes nothing about it.';
