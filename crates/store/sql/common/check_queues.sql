-- All queues of which something was set.
select name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter, retains, completed_life, failed_life,
  timeout_life, cancelled_life
from queue
order by name
