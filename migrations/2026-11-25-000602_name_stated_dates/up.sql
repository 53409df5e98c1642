ALTER TABLE posts
    DROP CONSTRAINT posts_date_origin_check,
    ADD CONSTRAINT posts_date_origin_check CHECK (date_origin IN ('stated', 'front_matter', 'status_id', 'estimated'));
UPDATE posts SET date_origin = 'stated' FROM post_sources
    WHERE post_sources.post_id = posts.id AND format IN ('mastodon', 'pleroma') AND date_origin = 'front_matter';
COMMENT ON COLUMN posts.date_origin IS 'Where published_at comes from: stated beside the post by its server, in the front matter or the name of a page, told by the status id, or estimated from the day of a page.';
