-- attempt_discard (PostgreSQL): all rows of these tasks.
delete from attempt
where task = any ($1::uuid[])
