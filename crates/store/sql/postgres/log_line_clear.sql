-- log_line_clear (PostgreSQL): all lines of these runs.
delete from log_line
where run = any ($1::bigint[])
