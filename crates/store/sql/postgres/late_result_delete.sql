-- late_result_delete (PostgreSQL): those of these runs that are there.
delete from late_result
using unnest($1::uuid[], $2::smallint[], $3::int[]) as old (task, slot, fence)
where late_result.task = old.task and late_result.slot = old.slot and late_result.fence = old.fence
