insert into carry (task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code, error_message,
  error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until, priority)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
