-- operation_lock (PostgreSQL): by key, in the order of the keys, held until the commit. The lateral pins the way, as in
-- `idempotency_lock`.
select found.id, found.act, found.filter, found.cursor, found.done, found.skipped, found.created_at, found.ended_at, found.cancelled
from (select unnest($1::uuid[]) as id) as wanted
cross join lateral (
  select operation.id, operation.act, operation.filter, operation.cursor, operation.done, operation.skipped,
    operation.created_at, operation.ended_at, operation.cancelled
  from operation
  where operation.id = wanted.id
  for update
) as found
