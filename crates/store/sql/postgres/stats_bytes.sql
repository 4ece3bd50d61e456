-- stats_bytes (PostgreSQL): what the database takes up.
select pg_database_size(current_database())
