-- Since when something waits in each queue behind $1, up to $2, in which something is ready: the earliest time that the
-- slot became due that is next in turn in one of its lanes or their twins. Each lane is a few steps through keys,
-- however much waits in it.
select head.queue, min(coalesce(
  (select run_at from carry where carry.task = head.task and carry.slot = head.slot),
  (select run_at from task where task.id = head.task)
))
from (
  select
    lane.queue,
    (select task from ready where ready.lane = lane.number * side.sign order by order_key, task, slot limit 1) as task,
    (select slot from ready where ready.lane = lane.number * side.sign order by order_key, task, slot limit 1) as slot
  from lane
  cross join (select 1 as sign union all select -1) as side
  where lane.queue > $1 and lane.queue <= $2
) as head
where head.task is not null
group by head.queue
order by head.queue
