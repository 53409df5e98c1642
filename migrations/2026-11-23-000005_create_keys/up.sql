CREATE TABLE keys (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint REFERENCES accounts (id) ON DELETE CASCADE,
    domain_id bigint REFERENCES domains (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('rsa', 'ed25519')),
    key_id text NOT NULL,
    public_key text NOT NULL,
    private_key bytea NOT NULL,
    sealed boolean NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    CHECK ((account_id IS NULL) <> (domain_id IS NULL))
);
CREATE UNIQUE INDEX keys_account ON keys (account_id, kind, key_id);
CREATE UNIQUE INDEX keys_domain ON keys (domain_id, kind, key_id);
COMMENT ON TABLE keys IS 'Key pairs of accounts and of each domain''s server actor.';
COMMENT ON COLUMN keys.key_id IS 'The fragment of the key''s URL, as main-key; the rest of the URL is the owner''s.';
COMMENT ON COLUMN keys.public_key IS 'rsa: SPKI in PEM. ed25519: Multikey, multibase base58btc.';
COMMENT ON COLUMN keys.private_key IS 'PKCS#8 in DER; when sealed: 12 bytes nonce, AES-256-GCM ciphertext, 16 bytes tag.';
