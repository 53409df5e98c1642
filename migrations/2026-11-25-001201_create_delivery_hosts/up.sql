CREATE TABLE delivery_hosts (
    host text PRIMARY KEY,
    standing text NOT NULL CHECK (standing IN ('new', 'good', 'failing', 'parked')),
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    paused_until timestamptz,
    reason text NOT NULL DEFAULT '',
    answered_at timestamptz,
    look_at timestamptz
);
CREATE INDEX delivery_hosts_look ON delivery_hosts (standing, look_at) WHERE look_at IS NOT NULL;
COMMENT ON TABLE delivery_hosts IS 'Hosts that something was sent to: how they answer, and when a worker has to look at them next.';
COMMENT ON COLUMN delivery_hosts.standing IS 'new: has not been asked yet. good: answered last. failing: did not. parked: has not for a week.';
COMMENT ON COLUMN delivery_hosts.failures IS 'How often in a row it did not answer.';
COMMENT ON COLUMN delivery_hosts.paused_until IS 'Until when nothing is sent to it, by its own wish or because it does not answer.';
COMMENT ON COLUMN delivery_hosts.look_at IS 'When something may be due for it; NULL: nothing is waiting. Workers find hosts by this and never by their deliveries.';
