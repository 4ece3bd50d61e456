-- At most $2 operations, the newest first, behind $1.
select id, act, filter, cursor, done, skipped, created_at, ended_at, cancelled
from operation
where id < $1
order by id desc
limit $2
