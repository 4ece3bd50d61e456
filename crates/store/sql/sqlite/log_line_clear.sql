delete from log_line
where run = ?1
