-- outcome_insert (PostgreSQL): all rows of a batch at once.
insert into outcome (task, lane, status, claimed_at, started_at, ended_at, worker, attempts, failures, losses,
  lost_in_a_row, fence, reported_fence, reported_digest, error_code, error_message, error_detail, output)
select *
from unnest($1::uuid[], $2::int[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[], $8::int[],
  $9::int[], $10::int[], $11::int[], $12::int[], $13::int[], $14::bytea[], $15::text[], $16::text[], $17::text[],
  $18::text[])
