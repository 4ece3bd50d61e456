-- operation_delete (PostgreSQL): by key, as `operation_update` finds them. Fails, and so undoes the batch, unless every
-- row is there: they are counted.
delete from operation
where ctid = any (array(
  select found.spot
  from (select unnest($1::uuid[]) as id) as old
  cross join lateral (
    select operation.ctid as spot
    from operation
    where operation.id = old.id
    offset 0
  ) as found
))
returning 1
