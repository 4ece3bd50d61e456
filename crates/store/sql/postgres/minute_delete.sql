-- minute_delete (PostgreSQL): those before a minute.
delete from minute
where minute < any ($1::bigint[])
