-- idempotency_old (PostgreSQL): at most $2 keys made before $1, held until the commit, those that another server holds
-- left out.
select idempotency.scope, idempotency.key, idempotency.digest, idempotency.tasks, idempotency.created_at
from idempotency
where created_at < $1
order by created_at
limit $2
for update skip locked
