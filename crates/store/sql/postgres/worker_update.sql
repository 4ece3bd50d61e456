-- worker_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there: 1 /
-- 0 stands for a conflict.
with changed as (
  update worker
  set number = new.number, epoch = new.epoch, server = new.server, kinds = new.kinds, queues = new.queues,
    labels = new.labels, capacity = new.capacity, registered_at = new.registered_at, expires_at = new.expires_at,
    kept_task = new.kept_task, kept_slot = new.kept_slot, forgotten = new.forgotten
  from unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::int[],
      $9::bigint[], $10::bigint[], $11::uuid[], $12::smallint[], $13::boolean[])
    as new (name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task,
      kept_slot, forgotten)
  cross join lateral (
    select worker.ctid as spot
    from worker
    where worker.name = new.name
    offset 0
  ) as found
  where worker.ctid = found.spot
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from changed
