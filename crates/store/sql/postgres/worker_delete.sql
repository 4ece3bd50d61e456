-- worker_delete (PostgreSQL): by key. Fails, and so undoes the batch, unless every
-- row is there: 1 / 0 stands for a conflict.
with gone as (
  delete from worker
  using unnest($1::text[]) as old (name)
  where worker.name = old.name
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
