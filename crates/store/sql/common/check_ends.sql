-- The ends of all tasks, behind their ids, without what is JSON and judged as that.
select task, task, lane, status, claimed_at, started_at, ended_at, worker, attempts, failures, losses, lost_in_a_row, fence,
  reported_fence, reported_digest, error_code, error_message, null, null
from outcome
order by task
