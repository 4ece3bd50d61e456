-- inbox_begin (PostgreSQL, where an inbox is): rows are found through the index of those that wait, whatever the statistics
-- say; no wait is without end; and a server that stands still lets go of what it holds. For this transaction alone, so that
-- it goes by a pooler too.
begin;
set local jit = off;
set local enable_seqscan = off;
set local enable_bitmapscan = off;
set local enable_hashjoin = off;
set local enable_mergejoin = off;
set local lock_timeout = '5s';
set local statement_timeout = '15s';
set local idle_in_transaction_session_timeout = '60s'
