-- carry_delete (PostgreSQL): by key, as `carry_update` finds them. Fails, and so undoes the batch, unless every row is
-- there: 1 / 0 stands for a conflict.
with gone as (
  delete from carry
  where ctid = any (array(
    select found.spot
    from unnest($1::uuid[], $2::smallint[]) as old (task, slot)
    cross join lateral (
      select carry.ctid as spot
      from carry
      where carry.task = old.task and carry.slot = old.slot
      offset 0
    ) as found
  ))
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from gone
