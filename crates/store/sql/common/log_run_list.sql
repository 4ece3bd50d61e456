-- The runs of a task ($1) that have logs, from a fence ($2) on, if given only those of an attempt ($3).
select id, fence, attempt
from log_run
where task = $1 and slot = 0 and fence >= $2 and attempt = coalesce($3, attempt)
order by fence
limit $4
