select coalesce(sum(scheduled + pending + assigned + running), 0)
from counter
where server = ?1 and lane = ?2
