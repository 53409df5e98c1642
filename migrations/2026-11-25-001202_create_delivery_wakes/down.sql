DROP TABLE delivery_wakes;
