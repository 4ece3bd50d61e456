-- late_result_discard (PostgreSQL): all rows of these tasks.
delete from late_result
where task = any ($1::uuid[])
