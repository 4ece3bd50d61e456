-- idempotency_lock (PostgreSQL): by key, in the order of the keys, held until the commit. The lateral pins the way: one
-- look into the index for each key, also where the planner takes the table for empty.
select found.scope, found.key, found.digest, found.tasks, found.created_at
from (select unnest($1::text[]) as scope, unnest($2::text[]) as key) as wanted
cross join lateral (
  select idempotency.scope, idempotency.key, idempotency.digest, idempotency.tasks, idempotency.created_at
  from idempotency
  where idempotency.scope = wanted.scope and idempotency.key = wanted.key
  for update
) as found
