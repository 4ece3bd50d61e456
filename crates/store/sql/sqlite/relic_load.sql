select outcome.task, outcome.status, outcome.ended_at, lane.queue, task.lane, task.unique_key
from outcome
join task on task.id = outcome.task
join lane on lane.number = task.lane
where outcome.task = ?1
