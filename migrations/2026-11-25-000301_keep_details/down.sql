DELETE FROM posts WHERE boost_of IS NOT NULL;
DROP INDEX posts_outbox;
ALTER TABLE posts DROP COLUMN details, DROP COLUMN refers_to, DROP COLUMN boost_of, DROP COLUMN listed;
CREATE INDEX posts_outbox ON posts (account_id, published_at DESC, id DESC)
    WHERE withdrawn_at IS NULL AND NOT to_others;
COMMENT ON COLUMN posts.to_others IS 'Its conversation begins with a reply to a post that is not here: such posts are kept and not published.';
ALTER TABLE attachments DROP COLUMN told;
