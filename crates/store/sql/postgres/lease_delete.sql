-- lease_delete (PostgreSQL): rows that this transaction holds, by where they stand. Fails, and so undoes the batch,
-- unless every row is there: 1 / 0 stands for a conflict.
with gone as (
  delete from lease
  where ctid = any ($1::tid[])
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
