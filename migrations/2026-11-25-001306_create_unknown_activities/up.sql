CREATE TABLE unknown_activities (
    kind text PRIMARY KEY,
    total bigint NOT NULL,
    last_at timestamptz NOT NULL
);
COMMENT ON TABLE unknown_activities IS 'How many activities came that we know nothing of, by their type.';
COMMENT ON COLUMN unknown_activities.kind IS 'The type as it came; (other) stands for all that came when there were many already.';
