select id, act, filter, cursor, done, skipped, created_at, ended_at, cancelled
from operation
where id = $1
