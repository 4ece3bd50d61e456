-- Tasks that do not stand in exactly one place, or have an outcome beside it, or are not there at all; at most $1.
select standing.id, cast(sum(standing.known) as bigint), cast(sum(standing.places) as bigint),
  cast(sum(standing.ends) as bigint)
from (
  select id, 1 as known, 0 as places, 0 as ends from task
  union all
  select task, 0, 1, 0 from scheduled
  union all
  select task, 0, 1, 0 from ready
  union all
  select task, 0, 1, 0 from lease
  union all
  select task, 0, 0, 1 from outcome
) as standing
group by standing.id
having sum(standing.known) <> 1 or sum(standing.places) + sum(standing.ends) <> 1
order by standing.id
limit $1
