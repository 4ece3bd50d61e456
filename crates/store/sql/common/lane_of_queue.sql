-- The numbers of the lanes of queue $1; at most $2.
select number
from lane
where queue = $1
limit $2
