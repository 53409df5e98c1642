DROP TABLE fetches;
