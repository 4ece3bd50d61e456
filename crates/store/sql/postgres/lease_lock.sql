-- lease_lock (PostgreSQL): by key, in the order of the keys, as the index has them; held until the commit, with where
-- they stand. The key's first column as an array leaves the planner no way but the index, also where it takes the table
-- for empty, and is a third cheaper than a join with the keys. It finds every wanted task in every wanted slot: once a
-- task has two slots, that is more than was asked for.
select task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline,
  progress, progress_message, checkpoint, exclusive, ctid
from lease
where task = any ($1::uuid[]) and slot = any ($2::smallint[])
for update
