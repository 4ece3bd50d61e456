-- server_insert (PostgreSQL): all rows of a batch at once.
insert into server (number, started_at, expires_at)
select unnest($1::int[]), unnest($2::bigint[]), unnest($3::bigint[])
