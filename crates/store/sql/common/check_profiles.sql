-- All workers with what they take, where null stands for all; so it is sound, as an empty list is.
select name, coalesce(kinds, '[]'), coalesce(queues, '[]'), labels
from worker
order by name
