-- lease_insert (PostgreSQL): all rows of a batch at once.
insert into lease (task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at,
  deadline, progress, progress_message, checkpoint, exclusive)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::int[]), unnest($4::bigint[]), unnest($5::int[]),
  unnest($6::int[]), unnest($7::bigint[]), unnest($8::int[]), unnest($9::bool[]), unnest($10::bigint[]),
  unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::bigint[]), unnest($14::float8[]), unnest($15::text[]),
  unnest($16::text[]), unnest($17::boolean[])
