-- queue_lock (PostgreSQL): every row, in the order of the names, held until the commit.
select name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter, retains, completed_life, failed_life, timeout_life,
  cancelled_life
from queue
order by name
for update
