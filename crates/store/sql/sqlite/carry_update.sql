-- carry_update (SQLite): without an error it leaves the one that stands there.
update carry
set run_at = ?3, order_key = ?4, fence = ?5, attempts = ?6, failures = ?7, losses = ?8, lost_in_a_row = ?9,
  error_code = coalesce(?10, error_code), error_message = coalesce(?11, error_message),
  error_detail = case when ?10 is null then error_detail else ?12 end, reported_fence = ?13, reported_digest = ?14,
  checkpoint = ?15, suspect_since = ?16, kept_until = ?17, priority = ?18
where task = ?1 and slot = ?2
