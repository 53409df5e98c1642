CREATE TABLE received (
    hash bytea PRIMARY KEY,
    received_at timestamptz NOT NULL
);
CREATE INDEX received_at ON received (received_at);
COMMENT ON TABLE received IS 'Activities that were taken in, so that none takes effect twice, and objects that their authors deleted, so that none comes back.';
COMMENT ON COLUMN received.hash IS 'SHA-256 of what it is, whose it is and its id.';
