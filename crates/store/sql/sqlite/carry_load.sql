-- carry_load (SQLite): by key. The error is left: no rule asks for it.
select task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, null, null, null,
  reported_fence, reported_digest, checkpoint, suspect_since, kept_until, priority
from carry
where task = ?1 and slot = ?2
