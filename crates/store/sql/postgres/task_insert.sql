-- task_insert (PostgreSQL): all rows of a batch at once.
insert into task (id, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff,
  backoff_factor, backoff_max, backoff_jitter, labels, digest, input_len, input,
  exclusive, unique_key, retry_of, origin)
select unnest($1::uuid[]), unnest($2::int[]), unnest($3::bigint[]), unnest($4::smallint[]), unnest($5::bigint[]),
  unnest($6::bigint[]), unnest($7::int[]), unnest($8::int[]), unnest($9::bigint[]), unnest($10::bigint[]),
  unnest($11::float8[]), unnest($12::bigint[]), unnest($13::float8[]), unnest($14::text[]), unnest($15::bytea[]),
  unnest($16::bigint[]), unnest($17::text[]), unnest($18::boolean[]), unnest($19::text[]), unnest($20::uuid[]),
  unnest($21::smallint[])
