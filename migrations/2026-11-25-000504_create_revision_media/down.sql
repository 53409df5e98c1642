DROP TABLE revision_media;
