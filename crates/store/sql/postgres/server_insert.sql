-- server_insert (PostgreSQL): all rows of a batch at once.
insert into server (number, started_at, expires_at)
select *
from unnest($1::int[], $2::bigint[], $3::bigint[])
