-- The kept runs of a task that did not end it, oldest first, with their workers' names, without details of more than $1
-- bytes.
select task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code, error_message,
  case when octet_length(error_detail) <= cast($1 as bigint) then error_detail end,
  (select worker.name from worker where worker.number = attempt.worker)
from attempt
where task = $2
order by task, slot, fence
