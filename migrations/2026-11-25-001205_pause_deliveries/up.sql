ALTER TABLE everpost_instance ADD COLUMN deliveries_paused_at timestamptz;
COMMENT ON COLUMN everpost_instance.deliveries_paused_at IS 'Since when the owner has everything wait that is to be sent; NULL: nothing waits for that.';
