-- Lanes that do not exist, of which it is kept what happened in a minute; at most $1. Lane 0 is all that are not told
-- apart.
select distinct minute.lane
from minute
left join lane on lane.number = minute.lane
where minute.lane <> 0 and lane.number is null
order by minute.lane
limit $1
