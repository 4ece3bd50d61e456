-- migration_lock (PostgreSQL): one server at a time looks at the schema and changes it, and none waits for ever. The
-- number is Taskyard's own.
set lock_timeout = '60s';
select pg_advisory_lock(7234017283807667300)
