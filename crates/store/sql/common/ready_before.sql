-- How many slots are ready before $2, $3, $4 in its lane $1, counted up to $5.
select count(*)
from (
  select 1 from ready where lane = $1 and (order_key, task, slot) < ($2, $3, $4) limit $5
) as before
