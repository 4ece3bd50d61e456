-- Workers that expired by $1, or expire later than $2, and are not forgotten yet; at most $3.
select name
from worker
where not forgotten and (expires_at <= $1 or expires_at > $2)
order by name
limit $3
