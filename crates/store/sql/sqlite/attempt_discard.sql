delete from attempt
where task = ?1
