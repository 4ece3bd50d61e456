-- carry_insert (PostgreSQL): all rows of a batch at once.
insert into carry (task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code,
  error_message, error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until)
select *
from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::int[], $8::int[],
  $9::int[], $10::text[], $11::text[], $12::text[], $13::int[], $14::bytea[], $15::text[], $16::bigint[],
  $17::bigint[])
