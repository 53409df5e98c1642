CREATE TABLE resurfacing (
    account_id bigint PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    mode text NOT NULL CHECK (mode IN ('on-this-day', 'drip')),
    times smallint[] NOT NULL CHECK (cardinality(times) BETWEEN 1 AND 3),
    time_zone text NOT NULL,
    allow_warned boolean NOT NULL,
    set_at timestamptz NOT NULL,
    last_slot timestamptz
);
COMMENT ON TABLE resurfacing IS 'Accounts that show old posts of theirs again, and when. Who has no row shows none.';
COMMENT ON COLUMN resurfacing.times IS 'Minutes after midnight in the time zone, one for each post of a day.';
COMMENT ON COLUMN resurfacing.time_zone IS 'A name of the IANA list, as Europe/Berlin.';
COMMENT ON COLUMN resurfacing.set_at IS 'When this was set: nothing is shown for a time before.';
COMMENT ON COLUMN resurfacing.last_slot IS 'The last moment whose turn it was, whether there was anything to show or not. It is never anybody''s turn again.';

CREATE TABLE resurfaced (
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    slot_at timestamptz NOT NULL,
    post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    undone_at timestamptz,
    PRIMARY KEY (account_id, slot_at)
);
CREATE INDEX resurfaced_posts ON resurfaced (post_id, slot_at);
COMMENT ON TABLE resurfaced IS 'Posts that were shown again: each is an Announce, whose id is made of post and moment and answers for ever.';
COMMENT ON COLUMN resurfaced.undone_at IS 'When the Announce was taken back, because a later one took its place or the post was withdrawn.';
