select scope, key, digest, tasks, created_at
from idempotency
where created_at <= ?1
order by created_at
limit ?2
offset ?3
