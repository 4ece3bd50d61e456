-- carry_discard (PostgreSQL): all rows of these tasks.
delete from carry
where task = any ($1::uuid[])
