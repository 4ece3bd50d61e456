-- idempotency_delete (PostgreSQL): by key, as `idempotency_update` finds them. Fails, and so undoes the batch, unless
-- every row is there: they are counted.
delete from idempotency
where ctid = any (array(
  select found.spot
  from (select unnest($1::text[]) as scope, unnest($2::text[]) as key) as old
  cross join lateral (
    select idempotency.ctid as spot
    from idempotency
    where idempotency.scope = old.scope and idempotency.key = old.key
    offset 0
  ) as found
))
returning 1
