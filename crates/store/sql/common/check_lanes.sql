-- Tasks of a lane that does not exist; at most $1.
select task.id
from task
left join lane on lane.number = task.lane
where lane.number is null
order by task.id
limit $1
