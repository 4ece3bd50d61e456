-- server_delete (PostgreSQL): by key. Fails, and so undoes the batch, unless every
-- row is there: 1 / 0 stands for a conflict.
with gone as (
  delete from server
  using unnest($1::int[]) as old (number)
  where server.number = old.number
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
