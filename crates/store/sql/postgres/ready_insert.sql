-- ready_insert (PostgreSQL): all rows of a batch at once.
insert into ready (lane, order_key, task, slot, has_carry)
select *
from unnest($1::int[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bool[])
