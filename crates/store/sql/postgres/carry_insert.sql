-- carry_insert (PostgreSQL): all rows of a batch at once.
insert into carry (task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code,
  error_message, error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until,
  priority)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::int[]),
  unnest($6::int[]), unnest($7::int[]), unnest($8::int[]), unnest($9::int[]), unnest($10::text[]), unnest($11::text[]),
  unnest($12::text[]), unnest($13::int[]), unnest($14::bytea[]), unnest($15::text[]), unnest($16::bigint[]),
  unnest($17::bigint[]), unnest($18::smallint[])
