-- How many rows each table has, by its name.
select 'attempt' as name, count(*) from attempt
union all
select 'carry' as name, count(*) from carry
union all
select 'counter' as name, count(*) from counter
union all
select 'idempotency' as name, count(*) from idempotency
union all
select 'lane' as name, count(*) from lane
union all
select 'late_result' as name, count(*) from late_result
union all
select 'lease' as name, count(*) from lease
union all
select 'meta' as name, count(*) from meta
union all
select 'outcome' as name, count(*) from outcome
union all
select 'ready' as name, count(*) from ready
union all
select 'scheduled' as name, count(*) from scheduled
union all
select 'server' as name, count(*) from server
union all
select 'task' as name, count(*) from task
union all
select 'worker' as name, count(*) from worker
order by name
