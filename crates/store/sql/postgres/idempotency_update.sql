-- idempotency_update (PostgreSQL): all rows of a batch at once. Fails, and so undoes the batch, unless every
-- row is there: 1 / 0 stands for a conflict.
with changed as (
  update idempotency
  set digest = new.digest, tasks = new.tasks, created_at = new.created_at
  from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
    as new (scope, key, digest, tasks, created_at)
  where idempotency.scope = new.scope and idempotency.key = new.key
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from changed
