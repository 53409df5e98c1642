DROP INDEX activities_about;
