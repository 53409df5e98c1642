DROP INDEX activities_age;
DROP INDEX deliveries_settled;
DROP INDEX deliveries_line;
DROP INDEX deliveries_leased;
DROP INDEX deliveries_due;
ALTER TABLE deliveries
    DROP CONSTRAINT deliveries_settled_whole,
    DROP CONSTRAINT deliveries_leased_whole,
    DROP COLUMN leased_by,
    DROP COLUMN line;
CREATE INDEX deliveries_due ON deliveries (host, due_at) WHERE state = 'waiting';
