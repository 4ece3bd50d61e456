-- All tasks as they were submitted, without their inputs and labels, which are JSON and judged as that: `''` is no label.
select id, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff, backoff_factor,
  backoff_max, backoff_jitter, '', digest, input_len, null, exclusive, unique_key, retry_of, origin
from task
order by id
