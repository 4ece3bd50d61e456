-- task_load (PostgreSQL): by key; only read.
select task.id, task.lane, task.order_key, task.priority, task.run_at, task.created_at, task.max_attempts,
  task.max_losses, task.timeout, task.backoff, task.backoff_factor, task.backoff_max, task.backoff_jitter,
  task.labels, task.digest, task.input
from unnest($1::uuid[]) as wanted (id)
join task on task.id = wanted.id
