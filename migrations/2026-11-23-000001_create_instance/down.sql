DROP TABLE everpost_instance;
