-- The earliest time that anything is scheduled for.
select min(run_at)
from scheduled
