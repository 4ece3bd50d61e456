-- The numbers of the lanes that have something open: scheduled, ready or leased.
select lane
from counter
group by lane
having sum(scheduled + pending + assigned + running) > 0
