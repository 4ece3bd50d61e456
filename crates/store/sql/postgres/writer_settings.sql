-- writer_settings (PostgreSQL): every hot statement is meant to find its rows through an index, one by one, whatever
-- the tables' statistics say at the moment; what is answered is on disk; and no wait is without end, where the address
-- or the role does not say how long. Two servers that wait for each other are soon found, where the role may say so:
-- by default that needs a superuser, or `grant set on parameter deadlock_timeout`. A server whose machine vanishes is
-- noticed, and one that stands still loses what it holds: others wait for it.
set plan_cache_mode = force_generic_plan;
set jit = off;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set tcp_keepalives_idle = '5s';
set tcp_keepalives_interval = '2s';
set tcp_keepalives_count = 3;
select set_config(name, value, false)
from (
  values ('lock_timeout', '5s'), ('statement_timeout', '15s'), ('idle_in_transaction_session_timeout', '5s')
) as longest (name, value)
where current_setting(name) = '0';
select set_config('deadlock_timeout', '100ms', false)
where current_setting('deadlock_timeout') = '1s' and has_parameter_privilege('deadlock_timeout', 'set');
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') = 'off'
