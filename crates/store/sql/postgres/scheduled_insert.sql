-- scheduled_insert (PostgreSQL): all rows of a batch at once.
insert into scheduled (run_at, task, slot, lane, order_key, why, has_carry)
select unnest($1::bigint[]), unnest($2::uuid[]), unnest($3::smallint[]), unnest($4::int[]), unnest($5::bigint[]),
  unnest($6::smallint[]), unnest($7::bool[])
