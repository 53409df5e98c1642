ALTER TABLE parked_inboxes ADD COLUMN missing integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN parked_inboxes.missing IS 'How often in a row an actor behind it was looked for and answered 404. An inbox that answered 410 is sent nothing meanwhile, one that answered 404 is.';
