-- lease_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there: 1 /
-- 0 stands for a conflict.
with changed as (
  update lease
  set fence = new.fence, secret = new.secret, worker = new.worker, epoch = new.epoch, seq = new.seq, lane = new.lane,
    has_carry = new.has_carry, claimed_at = new.claimed_at, started_at = new.started_at, expires_at = new.expires_at,
    deadline = new.deadline, progress = new.progress, progress_message = new.progress_message,
    checkpoint = new.checkpoint
  from unnest($1::uuid[], $2::smallint[], $3::int[], $4::bigint[], $5::int[], $6::int[], $7::bigint[], $8::int[],
      $9::bool[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::float8[], $15::text[], $16::text[])
    as new (task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at,
      deadline, progress, progress_message, checkpoint)
  cross join lateral (
    select lease.ctid as spot
    from lease
    where lease.task = new.task and lease.slot = new.slot
    offset 0
  ) as found
  where lease.ctid = found.spot
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from changed
