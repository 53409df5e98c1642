ALTER TABLE activities ADD COLUMN expires_at timestamptz;
COMMENT ON COLUMN activities.expires_at IS 'From then on it is not sent any more: it would be no news. A Create has one, because servers take whatever is pushed for new. NULL: it is sent however late.';
