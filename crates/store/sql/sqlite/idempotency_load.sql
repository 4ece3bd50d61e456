select scope, key, digest, tasks, created_at
from idempotency
where scope = ?1 and key = ?2
