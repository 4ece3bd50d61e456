-- log_chunk_insert (PostgreSQL): all rows of a batch at once.
insert into log_chunk (run, seq, lines)
select unnest($1::bigint[]), unnest($2::int[]), unnest($3::text[])
