-- migration_lock (PostgreSQL): one server at a time looks at the schema and changes it. The number is Taskyard's own.
select pg_advisory_lock(7234017283807667300)
