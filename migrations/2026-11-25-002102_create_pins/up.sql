CREATE TABLE pins (
    post_id bigint PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    position smallint NOT NULL
);
CREATE INDEX pins_account ON pins (account_id, position);
COMMENT ON TABLE pins IS 'Posts that an account shows before all others. A post that is withdrawn leaves it; one that its account no longer shows stands here still and is not shown.';
COMMENT ON COLUMN pins.position IS 'Its place in the order of the owner, from 1.';
