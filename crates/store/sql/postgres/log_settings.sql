-- log_settings (PostgreSQL): of the connection that writes logs. Nobody waits for the disk over a line; a crash of the
-- database's machine loses the last moments of them, and nothing else. The rest as in `writer_settings`.
set synchronous_commit = off;
set plan_cache_mode = force_generic_plan;
set jit = off;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set lock_timeout = '5s';
set statement_timeout = '15s';
set idle_in_transaction_session_timeout = '5s'
