CREATE TABLE blocks (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('domain', 'actor')),
    target text NOT NULL,
    comment text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX blocks_once ON blocks (coalesce(account_id, 0), kind, target);
CREATE INDEX blocks_target ON blocks (target);
COMMENT ON TABLE blocks IS 'Domains and actors that nothing is taken from and nothing is sent to.';
COMMENT ON COLUMN blocks.account_id IS 'The account for which it holds; NULL: the whole server.';
COMMENT ON COLUMN blocks.target IS 'A domain, which stands for its subdomains too, or the id of an actor. Lower case where it is a domain.';
