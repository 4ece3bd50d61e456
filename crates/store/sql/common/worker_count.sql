-- How many workers are online at $1, and how many are not; forgotten ones are left out.
select coalesce(sum(case when expires_at > $1 then 1 else 0 end), 0),
  coalesce(sum(case when expires_at > $1 then 0 else 1 end), 0)
from worker
where not forgotten
