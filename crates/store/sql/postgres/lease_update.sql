-- lease_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update lease
set fence = new.fence, secret = new.secret, worker = new.worker, epoch = new.epoch, seq = new.seq, lane = new.lane,
  has_carry = new.has_carry, claimed_at = new.claimed_at, started_at = new.started_at, expires_at = new.expires_at,
  deadline = new.deadline, progress = new.progress, progress_message = new.progress_message,
  checkpoint = new.checkpoint, exclusive = new.exclusive
from (
  select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::int[]) as fence,
    unnest($4::bigint[]) as secret, unnest($5::int[]) as worker, unnest($6::int[]) as epoch,
    unnest($7::bigint[]) as seq, unnest($8::int[]) as lane, unnest($9::bool[]) as has_carry,
    unnest($10::bigint[]) as claimed_at, unnest($11::bigint[]) as started_at, unnest($12::bigint[]) as expires_at,
    unnest($13::bigint[]) as deadline, unnest($14::float8[]) as progress, unnest($15::text[]) as progress_message,
    unnest($16::text[]) as checkpoint, unnest($17::boolean[]) as exclusive
) as new
cross join lateral (
  select lease.ctid as spot
  from lease
  where lease.task = new.task and lease.slot = new.slot
  offset 0
) as found
where lease.ctid = found.spot
returning 1
