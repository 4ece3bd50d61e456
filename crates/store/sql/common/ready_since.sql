-- Since when something waits: of each lane that has something ready the queue, and when the slot became due that is
-- next in turn there. At most $1 lanes, twins first. Each is a few steps through
-- keys, however much waits in it. No joins of larger tables: their order would be chosen by what they held once.
with recursive waiting (lane) as (
  -- Any lane: the condition has PostgreSQL step through the key here as well.
  select (select min(lane) from ready where lane > -2147483648)
  union all
  select (select min(ready.lane) from ready where ready.lane > waiting.lane)
  from waiting
  where waiting.lane is not null
),
chosen as (
  select lane from waiting where lane is not null limit $1
),
head as (
  select
    lane,
    (select task from ready where ready.lane = chosen.lane order by order_key, task, slot limit 1) as task,
    (select slot from ready where ready.lane = chosen.lane order by order_key, task, slot limit 1) as slot
  from chosen
),
since as (
  select lane, coalesce(
    (select run_at from carry where carry.task = head.task and carry.slot = head.slot),
    (select run_at from task where task.id = head.task)
  ) as due
  from head
)
select (select queue from lane where lane.number = abs(since.lane)), since.due
from since
where since.due is not null
order by since.lane
