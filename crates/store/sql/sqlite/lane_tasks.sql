select coalesce(sum(n), 0)
from counter
where server = ?1 and lane = ?2 and status < 5
