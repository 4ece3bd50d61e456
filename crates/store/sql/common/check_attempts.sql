-- All runs that did not end their tasks, behind these tasks' ids, without what is JSON and judged as that.
select task, task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code, error_message, null
from attempt
order by task
