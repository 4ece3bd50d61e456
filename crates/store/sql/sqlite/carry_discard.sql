delete from carry
where task = ?1
