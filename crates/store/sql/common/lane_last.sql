-- The highest lane number that was given out.
select coalesce(max(number), 0)
from lane
