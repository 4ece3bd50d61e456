-- lane_insert (PostgreSQL): all rows of a batch at once.
insert into lane (number, queue, kind, demands)
select *
from unnest($1::int[], $2::text[], $3::text[], $4::text[])
