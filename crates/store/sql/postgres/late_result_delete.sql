-- late_result_delete (PostgreSQL): those of these runs that are there. The lateral pins the way: one look into the
-- index for each key, also where the planner takes the table for empty.
delete from late_result
where ctid = any (array(
    select found.spot
    from (select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::int[]) as fence) as old
    cross join lateral (
      select late_result.ctid as spot
      from late_result
      where late_result.task = old.task and late_result.slot = old.slot and late_result.fence = old.fence
      offset 0
    ) as found
))
