-- worker_delete (PostgreSQL): by key, as `worker_update` finds them. Fails, and so undoes the batch, unless every row
-- is there: 1 / 0 stands for a conflict.
with gone as (
  delete from worker
  where ctid = any (array(
    select found.spot
    from unnest($1::text[]) as old (name)
    cross join lateral (
      select worker.ctid as spot
      from worker
      where worker.name = old.name
      offset 0
    ) as found
  ))
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
