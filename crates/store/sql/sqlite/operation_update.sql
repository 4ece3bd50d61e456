update operation
set act = ?2, filter = ?3, cursor = ?4, done = ?5, skipped = ?6, created_at = ?7, ended_at = ?8, cancelled = ?9
where id = ?1
