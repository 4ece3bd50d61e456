delete from worker
where name = ?1
