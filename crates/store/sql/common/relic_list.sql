-- At most $3 tasks that have ended, by id, behind $1 and up to $2. Nothing is joined: the order of joins would be chosen
-- by what the tables held once.
select ended.task, ended.status, ended.ended_at, ended.queue
from (
  select page.task, page.status, page.ended_at,
    (select queue from lane where lane.number = page.lane) as queue
  from (
    select task, status, ended_at, lane
    from outcome
    where task > $1 and task <= $2
    order by task
    limit $3
  ) as page
) as ended
where ended.queue is not null
order by ended.task
