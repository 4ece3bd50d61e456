-- counter_add (PostgreSQL): one change for each lane and status of a batch, in their order.
insert into counter (server, lane, status, n)
select *
from unnest($1::int[], $2::int[], $3::smallint[], $4::bigint[])
on conflict (server, lane, status) do update
set n = counter.n + excluded.n
