-- log_line_insert (PostgreSQL): all rows of a batch at once.
insert into log_line (run, seq, at, stream, line)
select unnest($1::bigint[]), unnest($2::int[]), unnest($3::bigint[]), unnest($4::smallint[]), unnest($5::text[])
