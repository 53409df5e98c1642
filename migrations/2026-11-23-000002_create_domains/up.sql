CREATE TABLE domains (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    base_url text NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('first', 'further')),
    created_at timestamptz NOT NULL,
    exposed_at timestamptz
);
CREATE UNIQUE INDEX domains_first ON domains (role) WHERE role = 'first';
COMMENT ON TABLE domains IS 'The hosts that we answer for. URLs are built from here, never from configuration.';
COMMENT ON COLUMN domains.base_url IS 'Scheme and authority, lower case, without a trailing slash.';
COMMENT ON COLUMN domains.role IS 'One domain is the first: the one that server.public_url names.';
COMMENT ON COLUMN domains.exposed_at IS 'When an ActivityPub answer first went out under a name that is for ever: none of this machine alone.';
