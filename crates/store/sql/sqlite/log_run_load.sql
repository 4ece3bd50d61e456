select id, claimed_at, attempt, next_seq, bytes, is_full
from log_run
where task = ?1 and slot = ?2 and fence = ?3
