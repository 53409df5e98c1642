CREATE TABLE activities (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    uri text NOT NULL UNIQUE,
    kind text NOT NULL,
    object_uri text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE activities IS 'Activities of our accounts that are sent to inboxes. What is only read, as the Creates of an outbox, is not here.';
COMMENT ON COLUMN activities.object_uri IS 'What it is about: deliveries about the same object to the same inbox keep their order.';
COMMENT ON COLUMN activities.body IS 'The JSON as it is sent. It is signed when it is sent; no key is ever here.';
