ALTER TABLE posts
    ADD COLUMN details jsonb,
    ADD COLUMN quote_key text,
    ADD COLUMN boost_of text;
ALTER TABLE posts ADD COLUMN listed boolean NOT NULL DEFAULT true;
UPDATE posts SET listed = NOT to_others;
ALTER TABLE posts ALTER COLUMN listed DROP DEFAULT;
DROP INDEX posts_outbox;
CREATE INDEX posts_outbox ON posts (account_id, published_at DESC, id DESC) WHERE withdrawn_at IS NULL AND listed;
COMMENT ON COLUMN posts.details IS 'What richer sources tell beyond text, date and media; null where there is nothing. Its shape is that of store/details.rs.';
COMMENT ON COLUMN posts.quote_key IS 'Identity of the post that it quotes, where that can be one of this account.';
COMMENT ON COLUMN posts.boost_of IS 'The id of the object that it passes on; set for boosts alone, which have no text of their own.';
COMMENT ON COLUMN posts.listed IS 'Whether the account shows it: not boosts and not replies to others, unless its settings say so. Follows boost_of, to_others and the settings.';
ALTER TABLE attachments ADD COLUMN told jsonb;
COMMENT ON COLUMN attachments.told IS 'What the source told about the file: focal point, size, blurhash, duration. Shape of store/details.rs.';
