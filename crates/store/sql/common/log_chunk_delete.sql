-- All lines of a task.
delete from log_chunk
where run in (select id from log_run where task = $1)
