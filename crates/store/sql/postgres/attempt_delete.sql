-- attempt_delete (PostgreSQL): those of these runs that are there. The lateral pins the way: one look into the index
-- for each key, also where the planner takes the table for empty.
delete from attempt
where ctid = any (array(
    select found.spot
    from unnest($1::uuid[], $2::smallint[], $3::int[]) as old (task, slot, fence)
    cross join lateral (
      select attempt.ctid as spot
      from attempt
      where attempt.task = old.task and attempt.slot = old.slot and attempt.fence = old.fence
      offset 0
    ) as found
))
