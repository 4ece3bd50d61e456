-- lease_of_worker (SQLite): a scan of all that is under way, for a claim that may be sent again or has a suspect before
-- it. An index would cost every claim.
select task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline, progress,
  progress_message, checkpoint, exclusive
from lease
where worker = ?1
