-- queue_tasks (PostgreSQL): how many tasks there are, by status, in each queue behind $1, up to $2, that has or had any;
-- at most $3 queues, by name. Each counter is found by its key, that of every server that ever was.
select
  lane.queue,
  cast(sum(counted.scheduled) as bigint),
  cast(sum(counted.pending) as bigint),
  cast(sum(counted.assigned) as bigint),
  cast(sum(counted.running) as bigint),
  cast(sum(counted.completed) as bigint),
  cast(sum(counted.failed) as bigint),
  cast(sum(counted.timeout) as bigint),
  cast(sum(counted.cancelled) as bigint)
from lane
cross join lateral (
  select found.*
  from (select 0 as number union all select server.number from server) as counting
  cross join lateral (
    select counter.*
    from counter
    where counter.server = counting.number and counter.lane = lane.number
    offset 0
  ) as found
) as counted
where lane.queue > $1 and lane.queue <= $2
group by lane.queue
order by lane.queue
limit $3
