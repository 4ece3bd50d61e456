-- counter_add (PostgreSQL): one change for each lane and status of a batch, in their order.
insert into counter (server, lane, status, n)
select unnest($1::int[]), unnest($2::int[]), unnest($3::smallint[]), unnest($4::bigint[])
on conflict (server, lane, status) do update
set n = counter.n + excluded.n
