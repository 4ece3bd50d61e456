-- worker_insert (PostgreSQL): all rows of a batch at once.
insert into worker (name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at,
  kept_task, kept_slot, forgotten, draining, killed, completed, failed, killed_before)
select unnest($1::text[]), unnest($2::int[]), unnest($3::int[]), unnest($4::int[]), unnest($5::text[]),
  unnest($6::text[]), unnest($7::text[]), unnest($8::int[]), unnest($9::bigint[]), unnest($10::bigint[]),
  unnest($11::uuid[]), unnest($12::smallint[]), unnest($13::boolean[]), unnest($14::boolean[]),
  unnest($15::boolean[]), unnest($16::bigint[]), unnest($17::bigint[]), unnest($18::int[])
