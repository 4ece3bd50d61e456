-- attempt_insert (PostgreSQL): all rows of a batch at once.
insert into attempt (task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code,
  error_message, error_detail)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::int[]), unnest($4::int[]), unnest($5::int[]),
  unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::smallint[]), unnest($10::text[]),
  unnest($11::text[]), unnest($12::text[])
