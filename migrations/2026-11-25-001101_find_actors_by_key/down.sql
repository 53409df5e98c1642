DROP INDEX remote_actors_keys;
