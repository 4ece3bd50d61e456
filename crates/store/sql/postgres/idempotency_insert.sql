-- idempotency_insert (PostgreSQL): all rows of a batch at once.
insert into idempotency (scope, key, digest, tasks, created_at)
select *
from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
