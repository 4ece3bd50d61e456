delete from late_result
where task = ?1 and slot = ?2 and fence = ?3
