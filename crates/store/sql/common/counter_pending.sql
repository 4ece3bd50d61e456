-- How many tasks are due and wait, of each queue in which any do. Each counter at which any are and its lane is looked at
-- once, in this order: the join is an outer one for that alone.
select lane.queue, cast(sum(counted.pending) as bigint)
from (
  select lane, pending
  from counter
  where pending <> 0
) as counted
left join lane on lane.number = counted.lane
group by lane.queue
having sum(counted.pending) > 0
order by lane.queue
