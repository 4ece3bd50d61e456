update carry
set run_at = ?3, order_key = ?4, fence = ?5, attempts = ?6, failures = ?7, losses = ?8, lost_in_a_row = ?9,
  error_code = ?10, error_message = ?11, error_detail = ?12, reported_fence = ?13, reported_digest = ?14,
  checkpoint = ?15, suspect_since = ?16, kept_until = ?17, priority = ?18
where task = ?1 and slot = ?2
