-- The lanes numbered higher than $1, in their order.
select number, queue, kind, demands
from lane
where number > $1
order by number
