-- lease_of_worker (SQLite): a scan, for few ask and the table is small; an index would cost every claim.
select task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline, progress,
  progress_message, checkpoint, exclusive
from lease
where worker = ?1
