-- The queues behind $1, up to $2, of which something was set, by name; at most $3.
select name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter, retains, completed_life, failed_life, timeout_life,
  cancelled_life
from queue
where name > $1 and name <= $2
order by name
limit $3
