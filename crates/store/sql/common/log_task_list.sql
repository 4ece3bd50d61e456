-- Tasks that have logs, by id, behind $1.
select distinct task
from log_run
where task > $1
order by task
limit $2
