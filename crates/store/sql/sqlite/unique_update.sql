update unique_key
set task = ?3
where queue = ?1 and key = ?2
