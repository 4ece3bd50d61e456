-- How many tasks there are, by lane and status, over all servers. Each counter and each lane is looked at once, in
-- this order: the join is an outer one for that alone.
select
  lane.queue,
  lane.kind,
  lane.demands,
  counted.scheduled,
  counted.pending,
  counted.assigned,
  counted.running,
  counted.completed,
  counted.failed,
  counted.timeout,
  counted.cancelled
from (
  select
    lane,
    cast(sum(scheduled) as bigint) as scheduled,
    cast(sum(pending) as bigint) as pending,
    cast(sum(assigned) as bigint) as assigned,
    cast(sum(running) as bigint) as running,
    cast(sum(completed) as bigint) as completed,
    cast(sum(failed) as bigint) as failed,
    cast(sum(timeout) as bigint) as timeout,
    cast(sum(cancelled) as bigint) as cancelled
  from counter
  group by lane
) as counted
left join lane on lane.number = counted.lane
order by counted.lane
