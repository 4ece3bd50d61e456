-- attempt_insert (PostgreSQL): all rows of a batch at once.
insert into attempt (task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code,
  error_message, error_detail)
select *
from unnest($1::uuid[], $2::smallint[], $3::int[], $4::int[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::smallint[], $10::text[], $11::text[], $12::text[])
