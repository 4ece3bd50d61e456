-- unique_lock (PostgreSQL): by key, in the order of the keys, held until the commit. The lateral pins the way, as in
-- `idempotency_lock`.
select found.queue, found.key, found.task
from (select unnest($1::text[]) as queue, unnest($2::text[]) as key) as wanted
cross join lateral (
  select unique_key.queue, unique_key.key, unique_key.task
  from unique_key
  where unique_key.queue = wanted.queue and unique_key.key = wanted.key
  for update
) as found
