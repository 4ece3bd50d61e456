-- worker_named (PostgreSQL): the names of the workers with these numbers.
select number, name
from worker
where number = any ($1::int[])
