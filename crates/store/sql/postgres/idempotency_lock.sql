-- idempotency_lock (PostgreSQL): by key, in the order of the keys, held until the commit.
select idempotency.scope, idempotency.key, idempotency.digest, idempotency.tasks, idempotency.created_at
from unnest($1::text[], $2::text[]) as wanted (scope, key)
join idempotency on idempotency.scope = wanted.scope and idempotency.key = wanted.key
for update of idempotency
