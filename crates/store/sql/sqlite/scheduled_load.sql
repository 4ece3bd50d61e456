select run_at, task, slot, lane, order_key, why, has_carry
from scheduled
where run_at = ?1 and task = ?2 and slot = ?3
