-- What may be taken from the worker of the name $1, by key: what it holds, of before the epoch $2 if there is one, without
-- what is exclusive; at most $3. A scan of all that is under way, for a kill.
select lease.task, lease.slot, lease.fence
from lease
join worker on worker.number = lease.worker
where worker.name = $1 and (cast($2 as int) is null or lease.epoch < cast($2 as int)) and not lease.exclusive
order by lease.task, lease.slot
limit $3
