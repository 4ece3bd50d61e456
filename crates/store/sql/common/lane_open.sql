-- The numbers of the lanes that have something open: scheduled, ready or leased.
select lane
from counter
where status < 5
group by lane
having sum(n) > 0
