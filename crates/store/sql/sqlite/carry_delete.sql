delete from carry
where task = ?1 and slot = ?2
