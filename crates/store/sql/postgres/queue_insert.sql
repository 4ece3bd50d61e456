-- queue_insert (PostgreSQL): all rows of a batch at once.
insert into queue (name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter, retains, completed_life, failed_life, timeout_life,
  cancelled_life)
select unnest($1::text[]), unnest($2::boolean[]), unnest($3::int[]), unnest($4::bigint[]),
  unnest($5::bigint[]), unnest($6::float8[]), unnest($7::bigint[]),
  unnest($8::float8[]), unnest($9::boolean[]), unnest($10::bigint[]), unnest($11::bigint[]),
  unnest($12::bigint[]), unnest($13::bigint[])
