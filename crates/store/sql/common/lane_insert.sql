-- The next number for a lane that has none, as long as there are fewer than $4.
insert into lane (number, queue, kind, demands)
select coalesce(max(number), 0) + 1, $1, $2, $3
from lane
having count(*) < $4
on conflict do nothing
