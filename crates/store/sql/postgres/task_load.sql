-- task_load (PostgreSQL): by key, only read. The lateral pins the way: one look into the index for each key, also where
-- the planner takes the table for empty.
select found.id, found.lane, found.order_key, found.priority, found.run_at, found.created_at, found.max_attempts,
  found.max_losses, found.timeout, found.backoff, found.backoff_factor, found.backoff_max, found.backoff_jitter,
  found.labels, found.digest, found.input
from unnest($1::uuid[]) as wanted (id)
cross join lateral (
  select task.id, task.lane, task.order_key, task.priority, task.run_at, task.created_at, task.max_attempts,
    task.max_losses, task.timeout, task.backoff, task.backoff_factor, task.backoff_max, task.backoff_jitter,
    task.labels, task.digest, task.input
  from task
  where task.id = wanted.id
  offset 0
) as found
