ALTER TABLE media
    DROP CONSTRAINT media_size_is_whole,
    DROP COLUMN figures_version,
    DROP COLUMN thumbnails,
    DROP COLUMN blurhash,
    DROP COLUMN height,
    DROP COLUMN width;
