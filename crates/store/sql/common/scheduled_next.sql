-- The earliest time that anything is scheduled for, behind the first $1 rows.
select run_at
from scheduled
order by run_at, task, slot
limit 1
offset $1
