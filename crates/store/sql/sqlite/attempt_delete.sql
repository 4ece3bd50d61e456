delete from attempt
where task = ?1 and slot = ?2 and fence = ?3
