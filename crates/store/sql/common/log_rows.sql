-- The tables of logs, each with the number of its rows.
select 'log_chunk', count(*) from log_chunk
union all select 'log_run', count(*) from log_run
order by 1
