-- idempotency_old (PostgreSQL): at most $2 keys made by $1, the oldest first, behind the first $3; held until the commit,
-- those that another server holds left out.
select idempotency.scope, idempotency.key, idempotency.digest, idempotency.tasks, idempotency.created_at
from idempotency
where created_at <= $1
order by created_at
limit $2
offset $3
for update skip locked
