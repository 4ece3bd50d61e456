-- outcome_load (PostgreSQL): by key; only read.
select outcome.task, outcome.lane, outcome.status, outcome.claimed_at, outcome.started_at, outcome.ended_at,
  outcome.worker, outcome.attempts, outcome.failures, outcome.losses, outcome.lost_in_a_row, outcome.fence,
  outcome.reported_fence, outcome.reported_digest, outcome.error_code, outcome.error_message, outcome.error_detail,
  outcome.output
from unnest($1::uuid[]) as wanted (task)
join outcome on outcome.task = wanted.task
