-- queue_tasks (SQLite): how many tasks there are, by status, in each queue behind $1, up to $2, that has or had any; at
-- most $3 queues, by name. Each counter is found by its key, that of every server that ever was.
-- PostgreSQL differs: there a cross join does not say what comes first.
select
  lane.queue,
  sum(counter.scheduled),
  sum(counter.pending),
  sum(counter.assigned),
  sum(counter.running),
  sum(counter.completed),
  sum(counter.failed),
  sum(counter.timeout),
  sum(counter.cancelled)
from lane
cross join (select 0 as number union all select server.number from server) as counting
cross join counter
where lane.queue > $1 and lane.queue <= $2
  and counter.server = counting.number and counter.lane = lane.number
group by lane.queue
order by lane.queue
limit $3
