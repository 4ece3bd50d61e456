-- writer_settings (PostgreSQL): every hot statement is meant to find its rows through an index, one by one, whatever the
-- tables' statistics say at the moment; and what is answered is on disk.
set plan_cache_mode = force_generic_plan;
set jit = off;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set lock_timeout = '10s';
set statement_timeout = '30s';
set idle_in_transaction_session_timeout = '30s';
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') = 'off'
