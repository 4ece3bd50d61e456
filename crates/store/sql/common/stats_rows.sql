-- Every table with the number of its rows.
select 'attempt', count(*) from attempt
union all select 'carry', count(*) from carry
union all select 'counter', count(*) from counter
union all select 'idempotency', count(*) from idempotency
union all select 'lane', count(*) from lane
union all select 'late_result', count(*) from late_result
union all select 'lease', count(*) from lease
union all select 'meta', count(*) from meta
union all select 'minute', count(*) from minute
union all select 'operation', count(*) from operation
union all select 'outcome', count(*) from outcome
union all select 'queue', count(*) from queue
union all select 'ready', count(*) from ready
union all select 'scheduled', count(*) from scheduled
union all select 'server', count(*) from server
union all select 'task', count(*) from task
union all select 'unique_key', count(*) from unique_key
union all select 'worker', count(*) from worker
order by 1
