-- lane_load (PostgreSQL): by key. The lateral pins the way, as in `idempotency_lock`.
select found.number, found.queue, found.kind, found.demands
from unnest($1::text[], $2::text[], $3::text[]) as wanted (queue, kind, demands)
cross join lateral (
  select lane.number, lane.queue, lane.kind, lane.demands
  from lane
  where lane.queue = wanted.queue and lane.kind = wanted.kind and lane.demands = wanted.demands
  offset 0
) as found
