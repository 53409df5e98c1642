ALTER TABLE everpost_instance DROP COLUMN deliveries_paused_at;
