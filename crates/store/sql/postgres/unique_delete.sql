-- unique_delete (PostgreSQL): by key, as `unique_update` finds them. Fails, and so undoes the batch, unless every row is
-- there: they are counted.
delete from unique_key
where ctid = any (array(
  select found.spot
  from (select unnest($1::text[]) as queue, unnest($2::text[]) as key) as old
  cross join lateral (
    select unique_key.ctid as spot
    from unique_key
    where unique_key.queue = old.queue and unique_key.key = old.key
    offset 0
  ) as found
))
returning 1
