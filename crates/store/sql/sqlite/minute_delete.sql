-- Those before a minute.
delete from minute
where minute < ?1
