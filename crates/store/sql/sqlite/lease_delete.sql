delete from lease
where task = ?1 and slot = ?2
