select task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline, progress,
  progress_message, checkpoint, exclusive
from lease
where task = ?1 and slot = ?2
