-- The next number for a lane that has none, as long as there are fewer than $4. Numbers have no gaps, so that the last
-- one tells how many there are.
insert into lane (number, queue, kind, demands)
select known.last + 1, $1, $2, $3
from (select coalesce(max(number), 0) as last from lane) as known
where cast(known.last as bigint) < $4
on conflict do nothing
