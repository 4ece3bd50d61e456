update server
set started_at = ?2, expires_at = ?3
where number = ?1
