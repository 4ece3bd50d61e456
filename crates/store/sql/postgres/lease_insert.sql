-- lease_insert (PostgreSQL): all rows of a batch at once.
insert into lease (task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at,
  deadline, progress, progress_message, checkpoint)
select *
from unnest($1::uuid[], $2::smallint[], $3::int[], $4::bigint[], $5::int[], $6::int[], $7::bigint[], $8::int[],
  $9::bool[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::float8[], $15::text[], $16::text[])
