-- task_view (PostgreSQL): everything known of each of these tasks ($2), with their payloads if $1; last, the number of
-- the place where it stands. A scheduled or ready row is found by its own key: its time and order stand in the carry, or
-- else in the task, and it waits in its lane or the lane's twin. The laterals pin the way, also where the planner takes a
-- table for empty.
select
  task.id, task.lane, task.order_key, task.priority, task.run_at, task.created_at, task.max_attempts, task.max_losses,
  task.timeout, task.backoff, task.backoff_factor, task.backoff_max, task.backoff_jitter, task.labels, task.digest,
  task.input_len, case when $1 then task.input end, task.exclusive, task.unique_key, task.retry_of, task.origin,
  lane.queue, lane.kind, lane.demands,
  outcome.task, outcome.lane, outcome.status, outcome.claimed_at, outcome.started_at, outcome.ended_at, outcome.worker,
  outcome.attempts, outcome.failures, outcome.losses, outcome.lost_in_a_row, outcome.fence, outcome.reported_fence,
  outcome.reported_digest, outcome.error_code, outcome.error_message, outcome.error_detail,
  case when $1 then outcome.output end,
  lease.task, lease.slot, lease.fence, lease.secret, lease.worker, lease.epoch, lease.seq, lease.lane, lease.has_carry,
  lease.claimed_at, lease.started_at, lease.expires_at, lease.deadline, lease.progress, lease.progress_message,
  lease.checkpoint, lease.exclusive,
  scheduled.run_at, scheduled.task, scheduled.slot, scheduled.lane, scheduled.order_key, scheduled.why,
  scheduled.has_carry,
  carry.task, carry.slot, carry.run_at, carry.order_key, carry.fence, carry.attempts, carry.failures, carry.losses,
  carry.lost_in_a_row, carry.error_code, carry.error_message, carry.error_detail, carry.reported_fence,
  carry.reported_digest, carry.checkpoint, carry.suspect_since, carry.kept_until, carry.priority,
  worker.name,
  cast(
    case
      when outcome.task is not null then 4
      when lease.task is not null then 3
      when ready.task is not null then 2
      when scheduled.task is not null then 1
    end as smallint
  )
from (select unnest($2::uuid[]) as id) as wanted
cross join lateral (select * from task where task.id = wanted.id offset 0) as task
cross join lateral (select * from lane where lane.number = task.lane offset 0) as lane
left join lateral (select * from outcome where outcome.task = task.id offset 0) as outcome on true
left join lateral (select * from lease where lease.task = task.id and lease.slot = 0 offset 0) as lease on true
left join lateral (select * from carry where carry.task = task.id and carry.slot = 0 offset 0) as carry on true
left join lateral (
  select *
  from scheduled
  where scheduled.run_at = coalesce(carry.run_at, task.run_at) and scheduled.task = task.id and scheduled.slot = 0
  offset 0
) as scheduled on true
left join lateral (
  select ready.task
  from ready
  where ready.lane = any (array[task.lane, -task.lane]) and ready.order_key = coalesce(carry.order_key, task.order_key)
    and ready.task = task.id and ready.slot = 0
  offset 0
) as ready on true
left join lateral (
  select * from worker where worker.number = coalesce(outcome.worker, lease.worker) offset 0
) as worker on true
