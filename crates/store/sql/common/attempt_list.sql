-- The kept runs of a task that did not end it, oldest first, with their workers' names.
select task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code, error_message,
  error_detail, (select worker.name from worker where worker.number = attempt.worker)
from attempt
where task = $1
order by task, slot, fence
