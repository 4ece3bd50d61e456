-- worker_insert (PostgreSQL): all rows of a batch at once.
insert into worker (name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at,
  kept_task, kept_slot, forgotten)
select *
from unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::int[], $9::bigint[],
  $10::bigint[], $11::uuid[], $12::smallint[], $13::boolean[])
