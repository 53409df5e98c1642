CREATE TABLE deliveries (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    activity_id bigint NOT NULL REFERENCES activities (id) ON DELETE CASCADE,
    inbox text NOT NULL,
    host text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'refused', 'gone', 'expired', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    status smallint,
    answer text,
    settled_at timestamptz,
    UNIQUE (activity_id, inbox)
);
CREATE INDEX deliveries_due ON deliveries (host, due_at) WHERE state = 'waiting';
COMMENT ON TABLE deliveries IS 'An activity on its way to one inbox. Leased, sent, settled; no transaction is open while it is sent.';
COMMENT ON COLUMN deliveries.host IS 'Host of the inbox in lower case, with its port where there is one: what fairness and back-off go by.';
COMMENT ON COLUMN deliveries.leased_until IS 'Until when one worker has it. A worker that died leaves it to the next when this has passed.';
COMMENT ON COLUMN deliveries.answer IS 'The start of what the other server said last, or why there was no answer.';
