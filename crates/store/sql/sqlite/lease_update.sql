update lease
set fence = ?3, secret = ?4, worker = ?5, epoch = ?6, seq = ?7, lane = ?8, has_carry = ?9, claimed_at = ?10,
  started_at = ?11, expires_at = ?12, deadline = ?13, progress = ?14, progress_message = ?15, checkpoint = ?16,
  exclusive = ?17
where task = ?1 and slot = ?2
