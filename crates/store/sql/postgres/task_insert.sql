-- task_insert (PostgreSQL): all rows of a batch at once.
insert into task (id, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff,
  backoff_factor, backoff_max, backoff_jitter, labels, digest, input_len, input)
select *
from unnest($1::uuid[], $2::int[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::int[], $8::int[],
  $9::bigint[], $10::bigint[], $11::float8[], $12::bigint[], $13::float8[], $14::text[], $15::bytea[], $16::bigint[],
  $17::text[])
