CREATE TABLE delivery_wakes (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    host text NOT NULL
);
COMMENT ON TABLE delivery_wakes IS 'Hosts that something was enqueued for since a worker last looked. Only ever added to and taken from, so that who enqueues waits for nobody.';
