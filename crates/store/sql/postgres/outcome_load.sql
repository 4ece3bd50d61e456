-- outcome_load (PostgreSQL): by key, only read. The lateral pins the way: one look into the index for each key, also
-- where the planner takes the table for empty.
select found.task, found.lane, found.status, found.claimed_at, found.started_at, found.ended_at, found.worker,
  found.attempts, found.failures, found.losses, found.lost_in_a_row, found.fence, found.reported_fence,
  found.reported_digest, found.error_code, found.error_message, found.error_detail, found.output
from unnest($1::uuid[]) as wanted (task)
cross join lateral (
  select outcome.task, outcome.lane, outcome.status, outcome.claimed_at, outcome.started_at, outcome.ended_at,
    outcome.worker, outcome.attempts, outcome.failures, outcome.losses, outcome.lost_in_a_row, outcome.fence,
    outcome.reported_fence, outcome.reported_digest, outcome.error_code, outcome.error_message,
    outcome.error_detail, outcome.output
  from outcome
  where outcome.task = wanted.task
  offset 0
) as found
