-- unique_insert (PostgreSQL): all rows of a batch at once.
insert into unique_key (queue, key, task)
select unnest($1::text[]), unnest($2::text[]), unnest($3::uuid[])
