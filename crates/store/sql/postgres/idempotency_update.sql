-- idempotency_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for
-- each key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is
-- there: they are counted.
update idempotency
set digest = new.digest, tasks = new.tasks, created_at = new.created_at
from (
  select unnest($1::text[]) as scope, unnest($2::text[]) as key, unnest($3::bytea[]) as digest,
    unnest($4::bytea[]) as tasks, unnest($5::bigint[]) as created_at
) as new
cross join lateral (
  select idempotency.ctid as spot
  from idempotency
  where idempotency.scope = new.scope and idempotency.key = new.key
  offset 0
) as found
where idempotency.ctid = found.spot
returning 1
