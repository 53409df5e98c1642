DROP TABLE unknown_activities;
