-- relic_lock (PostgreSQL): those of these tasks that have ended, held until the commit by their outcomes; those that
-- another server holds are left out. The laterals pin the way, as in `idempotency_lock`.
select found.task, found.status, found.ended_at, line.queue, its.lane, its.unique_key
from (select unnest($1::uuid[]) as task) as wanted
cross join lateral (
  select outcome.task, outcome.status, outcome.ended_at
  from outcome
  where outcome.task = wanted.task
  for update skip locked
) as found
cross join lateral (
  select task.lane, task.unique_key
  from task
  where task.id = found.task
  offset 0
) as its
cross join lateral (
  select lane.queue
  from lane
  where lane.number = its.lane
  offset 0
) as line
