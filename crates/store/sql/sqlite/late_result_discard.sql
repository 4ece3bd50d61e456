delete from late_result
where task = ?1
