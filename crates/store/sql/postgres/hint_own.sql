-- hint_own (PostgreSQL): this connection's process, by which it knows what it said itself.
select pg_backend_pid()
