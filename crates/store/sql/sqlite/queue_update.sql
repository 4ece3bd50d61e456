update queue
set paused = ?2, max_attempts = ?3, timeout = ?4, backoff = ?5, backoff_factor = ?6, backoff_max = ?7, backoff_jitter = ?8
where name = ?1
