delete from server
where number = ?1
