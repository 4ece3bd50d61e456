insert into idempotency (scope, key, digest, tasks, created_at)
values (?1, ?2, ?3, ?4, ?5)
