-- lane_insert (PostgreSQL): all rows of a batch at once.
insert into lane (number, queue, kind, demands)
select unnest($1::int[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[])
