-- What the worker $1 holds, or all of them do; at most $2. A scan of all that is under way, for each heartbeat of the
-- dialect simple, and for taskmaster's list of workers and its counts. An index would cost every claim.
select lease.worker, lease.epoch, lease.task, lease.slot, lease.fence, lease.secret
from lease
where cast($1 as int) is null or lease.worker = cast($1 as int)
order by lease.worker, lease.task, lease.slot
limit $2
