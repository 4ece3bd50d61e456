-- server_delete (PostgreSQL): by key, as `server_update` finds them. Fails, and so undoes the batch, unless every row
-- is there: 1 / 0 stands for a conflict.
with gone as (
  delete from server
  where ctid = any (array(
    select found.spot
    from unnest($1::int[]) as old (number)
    cross join lateral (
      select server.ctid as spot
      from server
      where server.number = old.number
      offset 0
    ) as found
  ))
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
