delete from scheduled
where run_at = ?1 and task = ?2 and slot = ?3
