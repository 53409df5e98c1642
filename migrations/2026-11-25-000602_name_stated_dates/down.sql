UPDATE posts SET date_origin = 'front_matter' WHERE date_origin = 'stated';
ALTER TABLE posts
    DROP CONSTRAINT posts_date_origin_check,
    ADD CONSTRAINT posts_date_origin_check CHECK (date_origin IN ('front_matter', 'status_id', 'estimated'));
COMMENT ON COLUMN posts.date_origin IS NULL;
