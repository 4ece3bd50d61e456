insert into queue (name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter, retains, completed_life, failed_life, timeout_life,
  cancelled_life)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
