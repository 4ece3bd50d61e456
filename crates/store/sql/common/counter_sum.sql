-- How many tasks there are, by lane and status, over all servers.
select lane.queue, lane.kind, lane.demands, counter.status, cast(sum(counter.n) as bigint)
from counter
join lane on lane.number = counter.lane
group by lane.number, lane.queue, lane.kind, lane.demands, counter.status
having sum(counter.n) <> 0
order by lane.number, counter.status
