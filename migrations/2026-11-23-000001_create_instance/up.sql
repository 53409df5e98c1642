CREATE TABLE everpost_instance (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE everpost_instance IS 'The marker: a database without it is not ours and is never touched.';
