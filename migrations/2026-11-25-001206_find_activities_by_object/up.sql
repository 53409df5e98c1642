CREATE INDEX activities_about ON activities (account_id, object_uri);
