update log_run
set claimed_at = ?2, attempt = ?3, next_seq = ?4, bytes = ?5, is_full = ?6
where id = ?1
