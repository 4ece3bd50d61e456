-- idempotency_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for
-- each key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is
-- there: 1 / 0 stands for a conflict.
with changed as (
  update idempotency
  set digest = new.digest, tasks = new.tasks, created_at = new.created_at
  from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
    as new (scope, key, digest, tasks, created_at)
  cross join lateral (
    select idempotency.ctid as spot
    from idempotency
    where idempotency.scope = new.scope and idempotency.key = new.key
    offset 0
  ) as found
  where idempotency.ctid = found.spot
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from changed
