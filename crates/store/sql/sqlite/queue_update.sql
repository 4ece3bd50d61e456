update queue
set paused = ?2, max_attempts = ?3, timeout = ?4, backoff = ?5, backoff_factor = ?6, backoff_max = ?7, backoff_jitter = ?8,
  retains = ?9, completed_life = ?10, failed_life = ?11, timeout_life = ?12, cancelled_life = ?13
where name = ?1
