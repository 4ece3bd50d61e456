-- The numbers of the lanes of queue $1; at most $2. A range in the order of the key is for one index alone: as long as it
-- takes the table for empty, PostgreSQL would else read the whole of the one by kind.
select number
from lane
where queue >= $1 and queue <= $1
order by queue, kind, demands
limit $2
