update idempotency
set digest = ?3, tasks = ?4, created_at = ?5
where scope = ?1 and key = ?2
