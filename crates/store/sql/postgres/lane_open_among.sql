-- lane_open_among (PostgreSQL): those of the lanes that have something open: scheduled, ready or leased. Each counter
-- is found by its key, that of every server that ever was.
select wanted.lane
from (select unnest($1::int[]) as lane) as wanted
cross join lateral (
  select sum(counted.n) as n
  from (select 0 as number union all select server.number from server) as counting
  cross join lateral (
    select counter.scheduled + counter.pending + counter.assigned + counter.running as n
    from counter
    where counter.server = counting.number and counter.lane = wanted.lane
    offset 0
  ) as counted
) as open
where open.n > 0
