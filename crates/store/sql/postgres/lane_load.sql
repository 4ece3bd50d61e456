-- lane_load (PostgreSQL): by key. The lateral pins the way, as in `idempotency_lock`.
select found.number, found.queue, found.kind, found.demands
from (select unnest($1::text[]) as queue, unnest($2::text[]) as kind, unnest($3::text[]) as demands) as wanted
cross join lateral (
  select lane.number, lane.queue, lane.kind, lane.demands
  from lane
  where lane.queue = wanted.queue and lane.kind = wanted.kind and lane.demands = wanted.demands
  offset 0
) as found
