-- At most $1 operations that have not ended, the oldest first.
select id, act, filter, cursor, done, skipped, created_at, ended_at, cancelled
from operation
where ended_at is null
order by id
limit $1
