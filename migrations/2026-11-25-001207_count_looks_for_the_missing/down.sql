ALTER TABLE parked_inboxes DROP COLUMN missing;
