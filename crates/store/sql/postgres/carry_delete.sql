-- carry_delete (PostgreSQL): by key. Fails, and so undoes the batch, unless every
-- row is there: 1 / 0 stands for a conflict.
with gone as (
  delete from carry
  using unnest($1::uuid[], $2::smallint[]) as old (task, slot)
  where carry.task = old.task and carry.slot = old.slot
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
