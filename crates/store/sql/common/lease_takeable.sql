-- What may be taken from the worker of the name $1, by key: what it holds, of before the epoch $2 if there is one, without
-- what is exclusive; at most $3. A scan of all that is under way, for a kill.
select task, slot, fence
from lease
where worker = (select number from worker where name = $1)
  and (cast($2 as int) is null or epoch < cast($2 as int)) and not exclusive
order by task, slot
limit $3
