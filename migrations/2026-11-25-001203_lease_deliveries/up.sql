DROP INDEX deliveries_due;
ALTER TABLE deliveries
    ADD COLUMN line bigint,
    ADD COLUMN leased_by bigint,
    ADD CONSTRAINT deliveries_leased_whole CHECK ((leased_by IS NULL) = (leased_until IS NULL)),
    ADD CONSTRAINT deliveries_settled_whole CHECK ((state = 'waiting') = (settled_at IS NULL));
UPDATE deliveries SET line = hashtextextended(inbox || ' ' || object_uri, 0) FROM activities WHERE activities.id = activity_id;
INSERT INTO delivery_wakes (host) SELECT DISTINCT host FROM deliveries WHERE state = 'waiting';
ALTER TABLE deliveries ALTER COLUMN line SET NOT NULL;
CREATE INDEX deliveries_due ON deliveries (host, due_at, id) WHERE state = 'waiting' AND leased_by IS NULL;
CREATE INDEX deliveries_leased ON deliveries (host) WHERE leased_by IS NOT NULL;
CREATE INDEX deliveries_line ON deliveries (line, id) WHERE state = 'waiting';
CREATE INDEX deliveries_settled ON deliveries (state, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX activities_age ON activities (created_at);
COMMENT ON COLUMN deliveries.line IS 'Hash of the inbox and of what the activity is about: of those in one line only the first is leased. Two lines of one hash keep an order that they need not.';
COMMENT ON COLUMN deliveries.leased_by IS 'The number of the worker that has it; it prolongs the lease while it sends.';
