DROP TABLE backfill_stops;
DROP TABLE offers;
