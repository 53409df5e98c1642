DROP TABLE echoes;
