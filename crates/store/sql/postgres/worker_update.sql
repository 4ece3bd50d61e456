-- worker_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update worker
set number = new.number, epoch = new.epoch, server = new.server, kinds = new.kinds, queues = new.queues,
  labels = new.labels, capacity = new.capacity, registered_at = new.registered_at, expires_at = new.expires_at,
  kept_task = new.kept_task, kept_slot = new.kept_slot, forgotten = new.forgotten,
  draining = new.draining, killed = new.killed, completed = new.completed, failed = new.failed,
  killed_before = new.killed_before
from (
  select unnest($1::text[]) as name, unnest($2::int[]) as number, unnest($3::int[]) as epoch,
    unnest($4::int[]) as server, unnest($5::text[]) as kinds, unnest($6::text[]) as queues,
    unnest($7::text[]) as labels, unnest($8::int[]) as capacity, unnest($9::bigint[]) as registered_at,
    unnest($10::bigint[]) as expires_at, unnest($11::uuid[]) as kept_task, unnest($12::smallint[]) as kept_slot,
    unnest($13::boolean[]) as forgotten, unnest($14::boolean[]) as draining,
    unnest($15::boolean[]) as killed, unnest($16::bigint[]) as completed, unnest($17::bigint[]) as failed,
    unnest($18::int[]) as killed_before
) as new
cross join lateral (
  select worker.ctid as spot
  from worker
  where worker.name = new.name
  offset 0
) as found
where worker.ctid = found.spot
returning 1
