-- scheduled_insert (PostgreSQL): all rows of a batch at once.
insert into scheduled (run_at, task, slot, lane, order_key, why, has_carry)
select *
from unnest($1::bigint[], $2::uuid[], $3::smallint[], $4::int[], $5::bigint[], $6::smallint[], $7::bool[])
