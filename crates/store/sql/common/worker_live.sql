-- How many workers are not forgotten, counted up to $1.
select count(*)
from (
  select 1
  from worker
  where not forgotten
  limit $1
) as live
