insert into ready (lane, order_key, task, slot, has_carry)
values (?1, ?2, ?3, ?4, ?5)
