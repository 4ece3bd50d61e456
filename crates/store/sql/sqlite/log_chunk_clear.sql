delete from log_chunk
where run = ?1
