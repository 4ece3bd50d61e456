-- Tasks that a worker holds who does not exist; at most $1.
select lease.task
from lease
left join worker on worker.number = lease.worker
where worker.number is null
order by lease.task
limit $1
