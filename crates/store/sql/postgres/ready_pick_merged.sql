-- ready_pick_merged (PostgreSQL): of each lane $1 the first $5 rows from the position ($2, $3, $4) on, and where they
-- stand. The first $6 of them all are held until the commit, those that another server holds or took away left out, and
-- say what a claim must know of their tasks; inputs of at most $7 bytes come along. Whoever asks decides which of them
-- it wants, and whether what was looked at reaches far enough.
select seen.lane, seen.order_key, seen.task, seen.slot, seen.has_carry, seen.spot, brief.timeout, brief.exclusive,
  brief.input_len, brief.input
from (
  select wanted.lane, first.order_key, first.task, first.slot, first.has_carry, first.spot,
    row_number() over (order by first.order_key, first.task, first.slot) as place
  from (
    select unnest($1::int[]) as lane, unnest($2::bigint[]) as order_key, unnest($3::uuid[]) as task,
      unnest($4::smallint[]) as slot, unnest($5::bigint[]) as rows
  ) as wanted
  cross join lateral (
    select ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
    from ready
    where ready.lane = wanted.lane
      and (ready.order_key, ready.task, ready.slot) >= (wanted.order_key, wanted.task, wanted.slot)
    order by ready.order_key, ready.task, ready.slot
    limit wanted.rows
  ) as first
) as seen
left join lateral (
  select task.timeout, task.exclusive, task.input_len, case when task.input_len <= $7 then task.input end as input
  from (
    select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry
    from ready
    where seen.place <= $6 and ready.ctid = seen.spot
    for update skip locked
  ) as held
  cross join lateral (
    select task.timeout, task.exclusive, task.input_len, task.input
    from task
    where task.id = held.task
    offset 0
  ) as task
  where (held.lane, held.order_key, held.task, held.slot, held.has_carry)
    = (seen.lane, seen.order_key, seen.task, seen.slot, seen.has_carry)
) as brief on true
order by seen.place
