CREATE TABLE revision_media (
    import_id bigint NOT NULL,
    post_id bigint NOT NULL,
    media_sha256 text NOT NULL REFERENCES media (sha256) ON DELETE RESTRICT,
    PRIMARY KEY (import_id, post_id, media_sha256),
    FOREIGN KEY (import_id, post_id) REFERENCES post_revisions (import_id, post_id)
        ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX revision_media_media ON revision_media (media_sha256);
COMMENT ON TABLE revision_media IS 'Files that earlier revisions of posts refer to: kept for them, and served to nobody.';
