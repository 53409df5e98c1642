CREATE TABLE imports (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    paths text[] NOT NULL,
    format text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    counts jsonb NOT NULL DEFAULT '{}',
    undo_counts jsonb,
    undone_at timestamptz
);
CREATE INDEX imports_account ON imports (account_id, id);
COMMENT ON TABLE imports IS 'Every run of an import that wrote: what came in, when, and what came of it. A log, not a queue.';
COMMENT ON COLUMN imports.paths IS 'As they were given, for messages alone.';
COMMENT ON COLUMN imports.format IS 'Of the first post.';
COMMENT ON COLUMN imports.finished_at IS 'Null while it runs, and for ever if it was broken off.';
COMMENT ON COLUMN imports.counts IS 'The numbers of its report: name to number.';
COMMENT ON COLUMN imports.undo_counts IS 'What undoing it has come to so far: name to number; null until somebody begins to.';
COMMENT ON COLUMN imports.undone_at IS 'When it was undone to its end.';
