DROP TABLE private_posts;
