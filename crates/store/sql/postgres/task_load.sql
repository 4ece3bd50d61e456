-- task_load (PostgreSQL): by key, only read; as in `lease_lock`. Inputs are left: no rule looks into one.
select id, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff, backoff_factor,
  backoff_max, backoff_jitter, labels, digest, input_len, null, exclusive, unique_key, retry_of, origin
from task
where id = any ($1::uuid[])
