-- The last queue behind $1 and before $2 that has a lane.
select queue
from lane
where queue > $1 and queue < $2
order by queue desc, kind desc, demands desc
limit 1
