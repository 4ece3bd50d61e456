-- queue_insert (PostgreSQL): all rows of a batch at once.
insert into queue (name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter)
select unnest($1::text[]), unnest($2::boolean[]), unnest($3::int[]), unnest($4::bigint[]),
  unnest($5::bigint[]), unnest($6::float8[]), unnest($7::bigint[]),
  unnest($8::float8[])
