DROP INDEX remote_actors_shared_inbox;
DROP INDEX remote_actors_inbox;
DROP TABLE parked_inboxes;
