CREATE INDEX remote_actors_keys ON remote_actors USING gin (keys jsonb_path_ops);
