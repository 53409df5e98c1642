ALTER TABLE posts
    ADD COLUMN details jsonb,
    ADD COLUMN refers_to text,
    ADD COLUMN boost_of text,
    ADD COLUMN listed boolean NOT NULL DEFAULT true;
UPDATE posts SET listed = false WHERE to_others;
ALTER TABLE posts ALTER COLUMN listed DROP DEFAULT;
DROP INDEX posts_outbox;
CREATE INDEX posts_outbox ON posts (account_id, published_at DESC, id DESC) WHERE withdrawn_at IS NULL AND listed;
COMMENT ON COLUMN posts.details IS 'What richer sources tell beyond text, date and media; null where that is nothing. Its shape is that of store/details.rs.';
COMMENT ON COLUMN posts.refers_to IS 'Source key of the post of the same account that it quotes or passes on, if that is one.';
COMMENT ON COLUMN posts.boost_of IS 'The id of the object that it passes on; set for boosts alone, which have no text of their own.';
COMMENT ON COLUMN posts.listed IS 'Whether the account shows it: not boosts and not replies to others, unless its settings say so. Follows boost_of, to_others and the settings.';
COMMENT ON COLUMN posts.to_others IS 'Its conversation begins with a reply to a post that is not here.';
ALTER TABLE attachments ADD COLUMN told jsonb;
COMMENT ON COLUMN attachments.told IS 'What the source told about the file: focal point, size, blurhash, duration. Shape of store/details.rs.';
