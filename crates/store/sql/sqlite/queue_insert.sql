insert into queue (name, paused, max_attempts, timeout, backoff, backoff_factor, backoff_max, backoff_jitter)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
