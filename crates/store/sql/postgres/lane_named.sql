-- lane_named (PostgreSQL): by number, only read.
select number, queue, kind, demands
from lane
where number = any ($1::int[])
