-- attempt_delete (PostgreSQL): those of these runs that are there. The lateral pins the way: one look into the index
-- for each key, also where the planner takes the table for empty.
delete from attempt
where ctid = any (array(
    select found.spot
    from (select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::int[]) as fence) as old
    cross join lateral (
      select attempt.ctid as spot
      from attempt
      where attempt.task = old.task and attempt.slot = old.slot and attempt.fence = old.fence
      offset 0
    ) as found
))
