-- idempotency_insert (PostgreSQL): all rows of a batch at once.
insert into idempotency (scope, key, digest, tasks, created_at)
select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[]), unnest($4::bytea[]), unnest($5::bigint[])
