ALTER TABLE media
    ADD COLUMN width integer CHECK (width > 0),
    ADD COLUMN height integer CHECK (height > 0),
    ADD COLUMN blurhash text,
    ADD COLUMN thumbnails integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN figures_version smallint NOT NULL DEFAULT 0,
    ADD CONSTRAINT media_size_is_whole CHECK ((width IS NULL) = (height IS NULL));
COMMENT ON COLUMN media.width IS 'Of a picture, in pixels, as it is shown: a turned picture is turned. Null for films, sounds, and pictures that could not be measured.';
COMMENT ON COLUMN media.height IS 'Of a picture, in pixels, as it is shown.';
COMMENT ON COLUMN media.blurhash IS 'Of a picture; null where it could not be decoded.';
COMMENT ON COLUMN media.thumbnails IS 'Which WebP thumbnails lie beside the file, each by its greatest width in pixels, in ascending order.';
COMMENT ON COLUMN media.figures_version IS 'Which version of the program''s rules these figures follow; 0 means that nobody has looked yet.';
