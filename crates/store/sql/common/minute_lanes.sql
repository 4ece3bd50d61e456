-- The lanes that are named in minute $1 and those behind it.
select lane.number, lane.queue, lane.kind, lane.demands
from (
  select distinct lane
  from minute
  where minute >= $1
) as told
join lane on lane.number = told.lane
