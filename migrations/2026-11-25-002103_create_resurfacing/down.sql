DROP TABLE resurfaced;
DROP TABLE resurfacing;
