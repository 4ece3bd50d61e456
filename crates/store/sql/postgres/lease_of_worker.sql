-- lease_of_worker (PostgreSQL): the leases of the workers $1, only read. A scan of all that is under way, for claims
-- that may be sent again or have a suspect before them. An index would cost every claim.
select lease.task, lease.slot, lease.fence, lease.secret, lease.worker, lease.epoch, lease.seq, lease.lane,
  lease.has_carry, lease.claimed_at, lease.started_at, lease.expires_at, lease.deadline, lease.progress,
  lease.progress_message, lease.checkpoint, lease.exclusive
from lease
where lease.worker = any ($1::int[])
