-- idempotency_delete (PostgreSQL): by key. Fails, and so undoes the batch, unless every
-- row is there: 1 / 0 stands for a conflict.
with gone as (
  delete from idempotency
  using unnest($1::text[], $2::text[]) as old (scope, key)
  where idempotency.scope = old.scope and idempotency.key = old.key
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
