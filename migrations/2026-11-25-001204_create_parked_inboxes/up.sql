CREATE TABLE parked_inboxes (
    inbox text PRIMARY KEY,
    status smallint NOT NULL,
    parked_at timestamptz NOT NULL,
    checks integer NOT NULL DEFAULT 0,
    check_at timestamptz NOT NULL
);
CREATE INDEX parked_inboxes_check ON parked_inboxes (check_at);
CREATE INDEX remote_actors_inbox ON remote_actors (inbox);
CREATE INDEX remote_actors_shared_inbox ON remote_actors (shared_inbox) WHERE shared_inbox IS NOT NULL;
COMMENT ON TABLE parked_inboxes IS 'Inboxes that answered 404 or 410. Nothing is sent there until the hosts of the actors behind them were asked about them.';
