-- attempt_delete (PostgreSQL): those of these runs that are there.
delete from attempt
using unnest($1::uuid[], $2::smallint[], $3::int[]) as old (task, slot, fence)
where attempt.task = old.task and attempt.slot = old.slot and attempt.fence = old.fence
