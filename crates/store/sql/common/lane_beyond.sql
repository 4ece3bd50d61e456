-- Of the lanes of queues behind $1, in order, the queue of the one that $2 others stand before; none where there are
-- fewer.
select queue
from lane
where queue > $1
order by queue, kind, demands
limit 1 offset $2
