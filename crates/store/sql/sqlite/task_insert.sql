insert into task (id, lane, order_key, priority, run_at, created_at, max_attempts, max_losses, timeout, backoff,
  backoff_factor, backoff_max, backoff_jitter, labels, digest, input_len, input, exclusive, unique_key, retry_of,
  origin)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
