-- log_chunk_clear (PostgreSQL): all lines of these runs.
delete from log_chunk
where run = any ($1::bigint[])
