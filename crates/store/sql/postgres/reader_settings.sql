-- reader_settings (PostgreSQL): a plan that scans a table because it was small, or empty, is kept while the table
-- fills, so scans are for what has no other way; and to plan each look at a task takes longer than the look. A long
-- read holds back the vacuum of everything.
set plan_cache_mode = force_generic_plan;
set jit = off;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set statement_timeout = '10s';
set lock_timeout = '2s';
set idle_in_transaction_session_timeout = '10s'
