-- ready_insert (PostgreSQL): all rows of a batch at once.
insert into ready (lane, order_key, task, slot, has_carry)
select unnest($1::int[]), unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::smallint[]), unnest($5::bool[])
