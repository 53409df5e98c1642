DELETE FROM posts WHERE boost_of IS NOT NULL;
DROP INDEX posts_outbox;
CREATE INDEX posts_outbox ON posts (account_id, published_at DESC, id DESC)
    WHERE withdrawn_at IS NULL AND NOT to_others;
ALTER TABLE posts DROP COLUMN details, DROP COLUMN quote_key, DROP COLUMN boost_of, DROP COLUMN listed;
ALTER TABLE attachments DROP COLUMN told;
