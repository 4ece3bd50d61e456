select task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code, error_message,
  error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until, priority
from carry
where task = ?1 and slot = ?2
