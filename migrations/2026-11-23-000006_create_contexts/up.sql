CREATE TABLE contexts (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    merged_into bigint REFERENCES contexts (id) ON DELETE CASCADE
);
CREATE INDEX contexts_account ON contexts (account_id);
CREATE INDEX contexts_merged ON contexts (merged_into);
COMMENT ON TABLE contexts IS 'Conversations. An id is minted once, from the post that opened it, and answers for ever.';
COMMENT ON COLUMN contexts.merged_into IS 'Set when this conversation turned out to be part of another one.';
