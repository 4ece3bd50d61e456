delete from operation
where id = ?1
