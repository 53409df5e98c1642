ALTER TABLE activities ADD COLUMN signed_by text;
COMMENT ON COLUMN activities.signed_by IS 'Fragment of the key that signs it when it is sent; NULL: the one in force then. An Update that brings new keys is signed with the old one, which is the one that others know.';
