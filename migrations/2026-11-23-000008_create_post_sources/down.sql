DROP TABLE post_sources;
