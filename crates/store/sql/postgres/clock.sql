-- clock (PostgreSQL): the database's time, in microseconds.
select (extract(epoch from clock_timestamp()) * 1000000)::bigint
