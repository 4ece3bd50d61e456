-- operation_insert (PostgreSQL): all rows of a batch at once.
insert into operation (id, act, filter, cursor, done, skipped, created_at, ended_at, cancelled)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::bigint[]),
  unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::boolean[])
