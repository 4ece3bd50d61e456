-- migration_lock (PostgreSQL): one server at a time looks at the schema and changes it, and none waits for ever. Held until
-- the end of the transaction. The number is Taskyard's own.
set local lock_timeout = '60s';
select pg_advisory_xact_lock(7234017283807667300)
