-- How many tasks there are, by status, of each queue where $1 says so, and else of each kind: the $2 that have most of
-- them. Counters at which nothing is left, as of most lanes that ever were, are passed over first. The others and their
-- lanes are looked at once each, in this order: the join is an outer one for that alone.
select
  case when $1 then lane.queue else lane.kind end,
  cast(sum(counted.scheduled) as bigint),
  cast(sum(counted.pending) as bigint),
  cast(sum(counted.assigned) as bigint),
  cast(sum(counted.running) as bigint),
  cast(sum(counted.completed) as bigint),
  cast(sum(counted.failed) as bigint),
  cast(sum(counted.timeout) as bigint),
  cast(sum(counted.cancelled) as bigint)
from (
  select
    lane,
    scheduled,
    pending,
    assigned,
    running,
    completed,
    failed,
    timeout,
    cancelled,
    scheduled + pending + assigned + running + completed + failed + timeout + cancelled as tasks
  from counter
  where scheduled <> 0 or pending <> 0 or assigned <> 0 or running <> 0
    or completed <> 0 or failed <> 0 or timeout <> 0 or cancelled <> 0
) as counted
left join lane on lane.number = counted.lane
group by 1
having sum(counted.tasks) > 0
order by sum(counted.tasks) desc, 1
limit $2
