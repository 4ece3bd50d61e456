-- ready_pick_merged (PostgreSQL): the first $10 rows of several lanes in one order, found first and locked then, so
-- that no row is held that is not dealt. Of each lane $1 it looks at $5 rows from the position ($2, $3, $4) on; where
-- they may go on, and behind ($6, $7, $8) where lanes lie that were left out, nothing is answered, since something
-- could come before it. Inputs of at most $9 bytes come along. The first column says how many were found: where
-- another server holds some of them, fewer come, and `ready_pick_each` goes on behind those. Behind them come the
-- other rows that were seen, without a spot.
with seen as materialized (
  select wanted.lane, first.order_key, first.task, first.slot, first.spot, first.place = wanted.rows as is_edge
  from (
    select unnest($1::int[]) as lane, unnest($2::bigint[]) as order_key, unnest($3::uuid[]) as task,
      unnest($4::smallint[]) as slot, unnest($5::bigint[]) as rows
  ) as wanted
  cross join lateral (
    select ready.order_key, ready.task, ready.slot, ready.ctid as spot,
      row_number() over (order by ready.order_key, ready.task, ready.slot) as place
    from ready
    where ready.lane = wanted.lane
      and (ready.order_key, ready.task, ready.slot) >= (wanted.order_key, wanted.task, wanted.slot)
    order by ready.order_key, ready.task, ready.slot
    limit wanted.rows
  ) as first
),
edge as materialized (
  select seen.order_key, seen.task, seen.slot from seen where seen.is_edge
  union all
  select $6::bigint, $7::uuid, $8::smallint where $6::bigint is not null
  order by 1, 2, 3
  limit 1
),
turns as materialized (
  select seen.lane, seen.order_key, seen.task, seen.slot, seen.spot,
    row_number() over (order by seen.order_key, seen.task, seen.slot) <= $10
      and (
        edge.order_key is null
        or (seen.order_key, seen.task, seen.slot) <= (edge.order_key, edge.task, edge.slot)
      ) as is_head
  from seen
  left join edge on true
),
held as materialized (
  select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.ctid = any (array(select turns.spot from turns where turns.is_head))
  for update skip locked
)
select (select count(*) from turns where turns.is_head), rows.lane, rows.order_key, rows.task, rows.slot,
  rows.has_carry, rows.spot, brief.timeout, brief.input_len, brief.input
from (values (1)) as always
left join (
  select held.lane, held.order_key, held.task, held.slot, held.has_carry, held.spot from held
  union all
  select turns.lane, turns.order_key, turns.task, turns.slot, false, null from turns where not turns.is_head
) as rows on true
left join lateral (
  select task.timeout, task.input_len, case when task.input_len <= $9 then task.input end as input
  from task
  where task.id = rows.task and rows.spot is not null
  offset 0
) as brief on true
order by rows.spot is null, rows.order_key, rows.task, rows.slot
