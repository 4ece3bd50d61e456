-- How many operations have not ended, counted up to $1.
select count(*)
from (
  select 1
  from operation
  where ended_at is null
  limit $1
) as counted
