-- What the worker $1 holds, or all of them do; at most $2. A scan, for few ask and the table is small.
select lease.worker, lease.epoch, lease.task, lease.slot, lease.fence, lease.secret
from lease
where cast($1 as int) is null or lease.worker = cast($1 as int)
order by lease.worker, lease.task, lease.slot
limit $2
