-- queue_delete (PostgreSQL): by key, as `queue_update` finds them. Fails, and so undoes the batch, unless every row is
-- there: they are counted.
delete from queue
where ctid = any (array(
  select found.spot
  from (select unnest($1::text[]) as name) as old
  cross join lateral (
    select queue.ctid as spot
    from queue
    where queue.name = old.name
    offset 0
  ) as found
))
returning 1
