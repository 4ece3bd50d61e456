-- All runs of a task, whose lines were taken away before.
delete from log_run
where task = $1
