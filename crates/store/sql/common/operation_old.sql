-- At most $2 operations that had ended by $1, those that did so first before the others.
select id
from operation
where ended_at is not null and ended_at <= $1
order by ended_at
limit $2
