insert into scheduled (run_at, task, slot, lane, order_key, why, has_carry)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
