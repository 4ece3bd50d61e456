delete from ready
where lane = ?1 and order_key = ?2 and task = ?3 and slot = ?4
