-- All that tasks carry along, behind their ids, without what is JSON and judged as that.
select task, task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code, error_message, null,
  reported_fence, reported_digest, null, suspect_since, kept_until, priority
from carry
order by task
