-- Workers that expired by $1 and are not forgotten yet; at most $2.
select name
from worker
where not forgotten and expires_at <= $1
order by name
limit $2
